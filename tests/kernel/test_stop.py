# SPDX-License-Identifier: Apache-2.0
"""Stopping: what is reported, what is left behind."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.kernel.conftest import FLAVOURS
from tests.support.agent import Agent, until

BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]  # number of the system call

NEXT_ID = {"prog_id": 11, "map_id": 12, "link_id": 31}  # enum bpf_cmd: from an id to the next one.

both_flavours = pytest.mark.parametrize("flavour", FLAVOURS)


def bpf_ids(pid: int) -> set[tuple[str, int]]:
    """What a process holds in the kernel: kinds and ids of its programs, maps and links."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            text = Path(f"/proc/{pid}/fdinfo/{fd}").read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        for kind in NEXT_ID:
            match = re.search(rf"^{kind}:\t(\d+)$", text, re.MULTILINE)
            # A link's description names its program too.
            if match:
                found.add((kind, int(match[1])))
    return found


def exists(kind: str, number: int) -> bool:
    """Whether the kernel still has a program, map or link of that id.

    It is not asked for a descriptor: the kernel loses count of a program array whose last
    descriptor is closed twice in a short time (prog_array_map_clear()), and keeps it for ever.
    """
    attribute = (ctypes.c_uint32 * 32)(number - 1)
    done = ctypes.CDLL(None, use_errno=True).syscall(BPF, NEXT_ID[kind], attribute, 128)
    return done == 0 and attribute[1] == number


def assert_all_gone(ids: set[tuple[str, int]]) -> None:
    """The kernel frees them some time after the last descriptor was closed."""
    until(
        lambda: not any(exists(*one) for one in ids),
        lambda: f"the end of {[one for one in ids if exists(*one)]}",
    )


def held(agent: Agent) -> set[tuple[str, int]]:
    ids = bpf_ids(agent.pid)
    kinds = [kind for kind, _ in ids]
    assert kinds.count("prog_id") >= 3
    assert kinds.count("map_id") >= 3
    assert all(exists(*one) for one in ids)
    return ids


def run_directory(agent: Agent) -> list[str]:
    """What the agent has in its run directory, seen from outside of its mount namespace."""
    top = Path(f"/proc/{agent.pid}/root/run/tetrapy")
    return sorted(str(path.relative_to(top)) for path in top.rglob("*"))


@both_flavours
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal(tmp_path: Path, actor: Path, flavour: str, number: int) -> None:
    """On a signal what happened before is written, the statistics are logged, nothing stays."""
    with Agent(tmp_path, *FLAVOURS[flavour]) as agent:
        agent.started()
        ids = held(agent)
        tags = [f"last-{index}-{agent.pid}" for index in range(20)]
        for tag in tags:
            subprocess.run([actor, tag, "exit", "3"], check=False)
        assert agent.stop(number) == 0
    assert not agent.errors
    text = b"\n".join(agent.lines()).decode()
    for tag in tags:
        reported = [e for e in agent.events() if e.is_of(tag)]
        assert [event.kind for event in reported] == ["exec", "exit"], tag
    assert text
    name = {signal.SIGINT: "interrupt", signal.SIGTERM: "terminated"}[number]
    last = agent.log.splitlines()[-3:]
    assert f'msg="Received signal {name}, shutting down..."' in last[0]
    assert re.search(r'msg="BPF events statistics: \d+ received, 0% events loss"', last[1])
    assert re.search(
        r'msg="Observer events statistics" received=\d+ lost=0 errors=0 filterPass=\d+ '
        r"filterDrop=\d+$",
        last[2],
    )
    assert_all_gone(ids)


def test_files(tmp_path: Path) -> None:
    """While it runs there are pid file and info file, after a signal nothing."""
    keep = tmp_path / "run"
    keep.mkdir()
    prepare = f"mount --bind {keep} /run"
    with Agent(tmp_path / "agent", prepare=prepare) as agent:
        agent.started()
        pid_file = keep / "tetrapy/tetrapy.pid"
        assert run_directory(agent) == ["tetrapy-info.json", "tetrapy.pid", "tetrapy.sock"]
        assert pid_file.read_bytes() == str(agent.pid).encode()
        assert pid_file.stat().st_mode & 0o777 == 0o644
        assert agent.stop() == 0
    assert [path for path in keep.rglob("*") if not path.is_dir()] == []


@both_flavours
def test_kill(tmp_path: Path, flavour: str) -> None:
    """kill -9 leaves nothing in the kernel; the pid file that stays hinders no later start."""
    keep = tmp_path / "run"
    keep.mkdir()
    prepare = f"mount --bind {keep} /run"
    with Agent(tmp_path / "first", *FLAVOURS[flavour], prepare=prepare) as agent:
        agent.started()
        ids = held(agent)
        agent.process.kill()
        assert agent.wait() == -signal.SIGKILL
    assert_all_gone(ids)
    left = [str(path.relative_to(keep)) for path in keep.rglob("*") if path.is_file()]
    assert set(left) <= {"tetrapy/tetrapy.pid", "tetrapy/tetrapy-info.json"}
    with Agent(tmp_path / "second", *FLAVOURS[flavour], prepare=prepare) as agent:
        agent.started()
        assert agent.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "line", ["Starting", "pid file creation", "Exporter configuration", "Read ProcFS"]
)
def test_signal_at_start(tmp_path: Path, number: int, line: str) -> None:
    """A signal while it starts ends it as one later does: exit code 0, no pid file, no trace."""
    keep = tmp_path / "run"
    keep.mkdir()
    with Agent(tmp_path / "agent", prepare=f"mount --bind {keep} /run") as agent:
        agent.wait_for_log(line)
        assert agent.stop(number) == 0
    assert not agent.errors
    assert [path for path in keep.rglob("*") if not path.is_dir()] == []


def test_second_signal(tmp_path: Path) -> None:
    """A second signal while it stops does no harm."""
    with Agent(tmp_path) as agent:
        agent.started()
        agent.send(signal.SIGINT)
        agent.send(signal.SIGTERM)
        agent.send(signal.SIGINT)
        assert agent.wait() == 0
    assert not agent.errors
    assert "Observer events statistics" in agent.log


def test_stop_under_load(tmp_path: Path, actor: Path) -> None:
    """It stops while events keep coming, and writes whole lines only."""
    with Agent(tmp_path) as agent:
        agent.started()
        with subprocess.Popen([actor, "load", "storm", "1000000", actor]) as load:
            until(lambda: len(agent.lines()) > 1000, "events")
            assert agent.stop() == 0
            load.kill()
        assert not agent.errors
        assert agent.export.read_bytes().endswith(b"\n")
        agent.events()
    assert agent.statistics()["lost"] == 0


@pytest.mark.parametrize("at_start", [True, False])
def test_a_signal_while_a_policy_is_read(at_start: bool, tmp_path: Path) -> None:
    """The policy is given up: it takes the process that reads it some seconds, and the agent none.

    At the start, and later.
    """
    home = tmp_path / "policies"
    home.mkdir()
    head = "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: long}\nspec:\n"
    values = ", ".join(map(str, range(45_000)))
    text = f"{head}  lists: [{{name: l, values: [{values}]}}]\n"
    if at_start:
        (home / "long.yaml").write_text(text)
    with Agent(tmp_path / "agent", "--tracing-policy-dir", str(home)) as agent:
        if not at_start:
            agent.started()
            (home / "long.yaml").write_text(text)
        readers = Path(f"/proc/{agent.pid}/task/{agent.pid}/children")
        until(lambda: reads(readers.read_text().split()), "the process that reads it")
        assert agent.stop() == 0
        assert 'error="the agent is to end"' in agent.log
        assert "Received signal" in agent.log


def reads(children: list[str]) -> bool:
    """Whether one of them has had a fifth of a second of a processor."""
    for child in children:
        try:
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[11]) > 20:
            return True
    return False
