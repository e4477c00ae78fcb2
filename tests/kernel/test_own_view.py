# SPDX-License-Identifier: Apache-2.0
"""What the agent has of its own, /sys, a time namespace, a cgroup namespace, changes no event."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.conftest import ALWAYS
from tests.kernel.events.test_container import ID, SHOWN, cgroup, enter
from tests.support.agent import Agent
from tests.support.events import nanoseconds
from tetrapy.kernel.namespaces import take_the_machines_view

if TYPE_CHECKING:
    from tests.support.events import Event

UNSHARED = {
    "time": ["unshare", "--time", "--boottime", "1000000", "--monotonic", "5000"],
    "cgroup": ["unshare", "--cgroup"],
}
_VIEW = """
import sys, time
sys.path.insert(0, "agent")
from tetrapy.kernel.namespaces import take_the_machines_view
from tetrapy.process.procfs import read_process
left = take_the_machines_view("/proc")
seen = read_process("/proc", int(sys.argv[1]))
print(left, time.clock_gettime_ns(time.CLOCK_BOOTTIME), seen.start, seen.docker)
"""


def watched(agent: Agent, actor: Path, elder: subprocess.Popen) -> list[Event]:
    """The events of a process from before, and of one that executes now."""
    agent.started()
    subprocess.run([actor, "later", "exit", "3"], check=False)
    elder.stdin.close()
    elder.wait()
    agent.fence()
    return [
        event for event in agent.events() if event.pid == elder.pid or event.is_of("later exit")
    ]


@pytest.mark.parametrize("flavour", ["ring", "perf"])
def test_without_sys(actor: Path, tmp_path: Path, flavour: str) -> None:
    """Neither starting, nor looking for losses, as at the end, needs it."""
    options = ["--use-perf-ring-buffer"] if flavour == "perf" else []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [actor, "elder", "say", "here", "wait", "exit", "3"]
    with subprocess.Popen(command, **pipes) as elder:
        assert elder.stdout.readline() == b"here\n"
        with Agent(tmp_path, *ALWAYS, *options, prepare="mount -t tmpfs tmpfs /sys") as agent:
            events = watched(agent, actor, elder)
            assert agent.stop() == 0, agent.errors
    assert [event.kind for event in events] == ["exec", "exec", "exit", "exit"]


@pytest.mark.parametrize("kind", UNSHARED)
def test_a_namespace_of_its_own(kind: str) -> None:
    """Procfs and clocks say what they say outside of it."""
    with cgroup(f"docker-{ID}.scope") as group:
        sleeper = subprocess.Popen([*enter(group), "sleep", "1000"])
        try:
            while Path(f"/proc/{sleeper.pid}/comm").read_text() != "sleep\n":
                time.sleep(0.001)
            command = ["python3", "-c", _VIEW, str(sleeper.pid)]
            outside, inside = (
                subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
                for words in (command, [*enter(group), *UNSHARED[kind], *command])
            )
        finally:
            sleeper.kill()
            sleeper.wait()
    assert outside[0] == inside[0] == "[]"
    assert 0 <= int(inside[1]) - int(outside[1]) < 300 * 10**9
    assert outside[2:] == inside[2:]
    assert outside[3] == SHOWN


def test_an_agent_in_a_time_namespace(actor: Path, tmp_path: Path) -> None:
    """Times are the machine's, and a process from before is known when it ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([actor, "elder", "say", "here", "wait", "exit", "3"], **pipes) as elder:
        assert elder.stdout.readline() == b"here\n"
        with Agent(tmp_path, *ALWAYS, under=UNSHARED["time"]) as agent:
            began = time.time_ns()
            events = watched(agent, actor, elder)
            assert agent.stop() == 0, agent.errors
    assert {event.pid for event in events if event.kind == "exit"} >= {elder.pid}
    for event in events:
        if event.is_of("later"):
            assert 0 <= nanoseconds(event.json["time"]) - began < 300 * 10**9


@pytest.mark.parametrize(
    ("kind", "reported"),
    [("time", "agent's time namespace"), ("cgroup", "agent's cgroup namespace")],
)
def test_one_that_may_not_be_left(kind: str, reported: str, actor: Path, tmp_path: Path) -> None:
    """Without the right to enter another it is said what is told otherwise, and the agent works."""
    under = (*UNSHARED[kind], "setpriv", "--inh-caps=-all", "--bounding-set=-sys_admin")
    with Agent(tmp_path, *ALWAYS, under=under) as agent:
        agent.started()
        (line,) = [line for line in agent.log.splitlines() if "it cannot leave" in line]
        assert line.startswith("level=warn")
        assert reported in line
        tag = f"kept-{kind}-{agent.pid}x"
        subprocess.run([actor, tag, "exit", "3"], check=False)
        started, ended = agent.tagged(tag)
        assert agent.stop() == 0, agent.errors
    assert (started.arguments, ended.status) == (f"{tag} exit 3", 3)


@pytest.mark.parametrize("namespace", ["", "--uts", "--ipc"])
def test_the_hosts_namespaces(namespace: str, tmp_path: Path) -> None:
    """Where the machine's first process may not be looked at, and the agent has namespaces of its
    own, it is said what counts as the host's.
    """
    under = ("setpriv", "--inh-caps=-all", "--bounding-set=-sys_ptrace")
    if namespace:
        under = ("unshare", namespace, *under)
    with Agent(tmp_path, *ALWAYS, under=under) as agent:
        agent.started()
        lines = [
            line for line in agent.log.splitlines() if "namespaces of mounts and network" in line
        ]
        assert agent.stop() == 0, agent.errors
    assert [line.startswith("level=warn") for line in lines] == [True] * bool(namespace)


def test_this_machines_own_view_stays() -> None:
    """Nothing is entered by who is there."""
    assert take_the_machines_view("/proc") == []
