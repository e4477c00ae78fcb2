# SPDX-License-Identifier: Apache-2.0
"""What a look shows of a process that lives, has ended, or is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.procfs import FakeProcfs
from tetrapy.events.process import UNSET_ID
from tetrapy.process.procfs import read_process
from tetrapy.sensors.connector.snapshot import living_threads, take_snapshot

if TYPE_CHECKING:
    from pathlib import Path

DOCKER = "ab" * 32


def test_agrees_with_the_walk_of_procfs() -> None:
    """Of this process, a look shows what is read of it at the agent's start."""
    seen, process = take_snapshot("/proc", os.getpid()), read_process("/proc/", os.getpid())
    assert seen is not None
    assert process is not None
    assert seen.has_image
    assert seen.exe.decode() == process.binary
    assert seen.command_line.split(b"\0")[0]
    assert seen.cwd.decode() == process.cwd
    for name in ("parent_pid", "start", "uid", "auid", "docker", "inner_pid"):
        assert getattr(seen, name) == getattr(process, name), name


def test_ended_process() -> None:
    """A process that was not waited for has a name and a parent, and no image."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        seen = take_snapshot("/proc", child.pid)
        assert seen is not None
        assert not seen.has_image
        assert seen.comm[:6] == b"python"
        assert seen.parent_pid == os.getpid()
        assert living_threads("/proc", child.pid) == set()
    assert take_snapshot("/proc", child.pid) is None
    assert living_threads("/proc", child.pid) == set()


def test_image_is_not_asked_for(tmp_path: Path) -> None:
    """Of a process that is known to have ended, no image is looked for."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(5, comm=b"a) (b")
    seen = take_snapshot(str(procfs.root), 5, image=False)
    assert seen is not None
    assert (seen.has_image, seen.exe, seen.command_line, seen.cwd) == (False, b"", b"", b"")
    assert seen.comm == b"a) (b"


def test_container(tmp_path: Path) -> None:
    """The id of a container, and the pid inside of a pid namespace, whether or not it has an id."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(5, cgroup=f"0::/docker/{DOCKER}", nspid="5 1", auid=1000, uid=(1, 2, 3, 4))
    procfs.add(6, nspid="6")
    procfs.add(7, nspid="7 1")
    inside, outside, nameless = (take_snapshot(str(procfs.root), pid) for pid in (5, 6, 7))
    assert inside is not None
    assert outside is not None
    assert nameless is not None
    assert (nameless.docker, nameless.inner_pid) == ("", 1)
    assert (inside.docker, inside.inner_pid) == (DOCKER[:31], 1)
    assert (inside.uid, inside.auid) == (2, 1000)
    assert (outside.docker, outside.inner_pid, outside.auid) == ("", 0, UNSET_ID)


def test_long_arguments() -> None:
    """256 KiB of arguments are read, as elsewhere."""
    arguments = ["x" * 100_000] * 4
    command = [sys.executable, "-c", "print(flush=True); input()", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()  # in the midst of its exec a process has no arguments
        seen = take_snapshot("/proc", child.pid)
        child.communicate(b"\n")
    assert seen is not None
    assert len(seen.command_line) == 256 << 10
    assert seen.command_line.endswith(b"x")


@pytest.mark.parametrize("name", ["cmdline", "status", "loginuid", "cgroup", "exe", "cwd"])
def test_part_is_missing(tmp_path: Path, name: str) -> None:
    """What cannot be read leaves the rest as it is."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(5, auid=7)
    whole = take_snapshot(str(procfs.root), 5)
    (procfs.root / "5" / name).unlink()
    seen = take_snapshot(str(procfs.root), 5)
    assert whole is not None
    assert seen is not None
    changed = [
        a for a, b in zip(whole._fields, zip(whole, seen, strict=True), strict=True) if b[0] != b[1]
    ]
    assert (
        set(changed)
        <= {
            "cmdline": {"command_line"},
            "status": {"uid", "real_uid"},
            "loginuid": {"auid"},
            "cgroup": set(),
            "exe": {"exe"},
            "cwd": {"cwd"},
        }[name]
    )


@pytest.mark.slow
@given(stat=st.binary(max_size=60), status=st.binary(max_size=60), auid=st.binary(max_size=12))
def test_any_content(tmp_path_factory, stat: bytes, status: bytes, auid: bytes) -> None:
    """Whatever the files hold, a look raises nothing."""
    root = tmp_path_factory.mktemp("proc")
    (root / "5").mkdir()
    for name, data in (("stat", stat), ("status", status), ("loginuid", auid)):
        (root / "5" / name).write_bytes(data)
    take_snapshot(str(root), 5)
    living_threads(str(root), 5)
