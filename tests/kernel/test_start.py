# SPDX-License-Identifier: Apache-2.0
"""Starting while the machine is busy, and beside processes in odd states."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.kernel.conftest import FLAVOURS
from tests.support.agent import Agent, until
from tests.support.elder import Elder
from tests.support.events import Event, check_stream


def _image(event: Event) -> int | None:
    """The number in `countdown PATH NUMBER`."""
    match = re.search(r" countdown \S+ (\d+)$", event.arguments)
    return int(match[1]) if match else None


@pytest.mark.alone
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("turn", range(3))
def test_start_in_a_storm(actor: Path, tmp_path: Path, flavour: str, turn: int) -> None:
    """While processes fork and execute without a pause the agent starts: each image is reported
    once, and from the first that is reported on none is missing.
    """
    tag = f"storm-{flavour}-{turn}-{os.getpid()}"
    chains = []
    with ExitStack() as stack:
        for _ in range(3):
            argv = [str(actor), tag, "countdown", str(actor), "1000000"]
            chain = subprocess.Popen(argv)
            stack.callback(chain.wait)
            stack.callback(chain.kill)
            chains.append(chain)
        # Room also for what others run meanwhile.
        with Agent(tmp_path, "--rb-size-total", "16M", *FLAVOURS[flavour]) as agent:
            agent.started()

            def reported() -> bool:
                return sum(tag.encode() in line for line in agent.lines()) > 500

            until(reported, "events of the storm")
            for chain in chains:
                chain.kill()
                chain.wait()
            agent.fence()
            everything = agent.events()
            assert agent.stop() == 0
        assert agent.statistics()["lost"] == 0
        assert agent.statistics()["errors"] == 0
    check_stream(everything)
    nameless = [event for event in everything if not event.id]
    assert nameless == [], "what began before it listened is no business of its"
    for chain in chains:
        images = [e for e in everything if e.pid == chain.pid and e.kind == "exec"]
        numbers = [_image(event) for event in images]
        # The first may be the image that procfs showed.
        assert numbers == list(range(numbers[0], numbers[0] - len(numbers), -1)), images[:3]
        assert [event.flags for event in images[1:]] == [["execve"]] * (len(images) - 1)
        (ended,) = [e for e in everything if e.pid == chain.pid and e.kind == "exit"]
        assert ended.id == images[-1].id
        assert ended.signal == "SIGKILL"
        for image, successor in itertools.pairwise(images):
            assert successor.process["parent_exec_id"] == image.id
        # Each image forks one child that executes nothing.
        children: dict[str, int] = {}
        for event in everything:
            if event.kind == "exit" and event.status == 7 and event.is_of(tag):
                parent = event.process["parent_exec_id"]
                children[parent] = children.get(parent, 0) + 1
        counts = [children.get(image.id, 0) for image in images]
        # Hooks are attached one after the other: at first an exec may be seen, but no fork.
        settled = list(itertools.dropwhile(lambda count: not count, counts[1:-1]))
        assert set(settled) <= {1}, counts
        assert len(settled) > len(images) // 2, counts


def test_other_procfs(tmp_path: Path) -> None:
    """--procfs names another place where procfs is mounted; the slash at the end is optional."""
    place = tmp_path / "proc"
    place.mkdir()
    prepare = f"mount -t proc proc {place}"
    with Agent(tmp_path / "agent", "--procfs", str(place), prepare=prepare) as agent:
        agent.started()
        assert os.getpid() in {event.pid for event in agent.events()}
        assert agent.stop() == 0
    assert f"Read ProcFS {place}" in agent.log


def test_leader_is_gone(actor: Path, tmp_path: Path) -> None:
    """A process whose leader has ended while threads go on is a process like any other."""
    tag = f"leaderless-{os.getpid()}"
    elder = Elder([str(actor), tag, "leaderexit", "5", "say", "here", "wait", "exit", "6"])
    with closing(elder), Agent(tmp_path) as agent:
        agent.started()
        elder.go_on()
        agent.fence()
        mine = [event for event in agent.events() if event.pid == elder.pid]
    assert [event.kind for event in mine] == ["exec", "exit"]
    assert mine[0].binary == str(actor)
    assert mine[0].arguments.startswith(tag)
    assert mine[1].process == mine[0].process


def test_zombies_are_no_processes(actor: Path, tmp_path: Path) -> None:
    """What ended before the agent started and only waits for its parent is not reported."""
    elder = subprocess.Popen([actor, "zombie", "exit", "0"])

    def state() -> str:
        stat = Path(f"/proc/{elder.pid}/stat").read_text(encoding="utf-8")
        return stat.rpartition(")")[2].split()[0]

    until(lambda: state() == "Z", "the zombie")
    with Agent(tmp_path) as agent:
        agent.started()
        elder.wait()
        agent.fence()
        mine = [event for event in agent.events() if event.pid == elder.pid]
    assert mine == []


def test_child_before_parent(actor: Path, tmp_path: Path) -> None:
    """A child whose pid is smaller than its parent's finds its parent, also when both started
    within one tick of procfs.
    """
    low, *_, high = [pid for pid in range(3000, 32000) if not Path(f"/proc/{pid}").exists()]
    words = ["clonepid", str(high), "clonepid", str(low), "say", "here", "wait", "exit", "3"]
    elder = Elder([str(actor), "wrapped", *words])
    with closing(elder), Agent(tmp_path) as agent:
        agent.started()
        elder.go_on()
        agent.fence()
        mine = {event.pid: event for event in agent.events() if event.kind == "exec"}
    for child, parent in ((low, high), (high, elder.pid)):
        assert mine[child].parent == mine[parent].process
        assert mine[child].process["parent_exec_id"] == mine[parent].id
