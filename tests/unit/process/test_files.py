# SPDX-License-Identifier: Apache-2.0
"""The file that a process of procfs executes, judged by mounts and root directories."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.connector_messages import Stage
from tests.support.procfs import FakeProcfs
from tetrapy.events.executed import UNREPORTED, ExecutedFile
from tetrapy.kernel import statx
from tetrapy.process.files import HostFiles
from tetrapy.process.procfs import read_process
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.connector.snapshot import take_snapshot

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def procfs(tmp_path: Path) -> FakeProcfs:
    """The first process has this machine's root directory, and no mounts of its own."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(1, parent=0)
    (procfs.root / "1/root").symlink_to("/")
    (procfs.root / "1/mountinfo").write_bytes(b"")
    return procfs


def file_of(procfs: FakeProcfs, exe: str | Path, root: str | Path = "/") -> ExecutedFile | None:
    """What both readers of procfs say of a process with these links."""
    procfs.add(42, exe=str(exe))
    (procfs.root / "42/root").symlink_to(root)
    process, seen = read_process(str(procfs.root), 42), take_snapshot(str(procfs.root), 42)
    assert process is not None
    assert seen is not None
    assert process.file == seen.file
    return process.file


def test_the_hosts_file(procfs: FakeProcfs) -> None:
    """Of its root's own mount, without a look at the list of mounts."""
    (procfs.root / "1/mountinfo").unlink()
    assert file_of(procfs, "/bin/sh") is None


def test_another_root_directory(procfs: FakeProcfs, tmp_path: Path) -> None:
    """It is in the same mount, and no less another."""
    state = os.stat("/bin/sh")
    assert file_of(procfs, "/bin/sh", tmp_path) == ExecutedFile(
        "/bin/sh",
        state.st_ino,
        state.st_nlink,
        os.major(state.st_dev) << 20 | os.minor(state.st_dev),
        foreign=True,
    )


@pytest.mark.parametrize("is_hosts", [True, False])
def test_another_mount(procfs: FakeProcfs, is_hosts: bool) -> None:
    """It is the host's if the host's list of mounts has it."""
    mount = statx.state_of(b"/proc/self").mount
    if is_hosts:
        (procfs.root / "1/mountinfo").write_bytes(b"%d 1 0:5 / /x rw - x x rw\n" % mount)
    file = file_of(procfs, "/proc/version")
    assert (file is None) == is_hosts
    assert file is None or file.foreign


@pytest.mark.parametrize(
    ("hosts", "own", "is_sure"), [("1", "1", True), ("1", "2", False), ("1", "", False)]
)
def test_another_user_namespace(procfs: FakeProcfs, hosts: str, own: str, is_sure: bool) -> None:
    """There a process may have another file shown than the one that it executed."""
    procfs.add(42)
    for pid, number in ((1, hosts), (42, own)):
        names = procfs.root / str(pid) / "ns"
        names.mkdir()
        if number:
            (names / "user").symlink_to(f"user:[{number}]")
    (procfs.root / "42/root").symlink_to("/")
    process = read_process(str(procfs.root), 42)
    assert process is not None
    assert (process.file is None) == is_sure
    assert process.file is None or not process.file.is_known
    process = ProcessTable("node", str(procfs.root)).from_procfs(process)
    assert process.executed is None or not process.executed.reported


def test_devices_that_answer(procfs: FakeProcfs) -> None:
    """Those of the machine's mounts, but for FUSE, whose server is a user's."""
    (procfs.root / "1/mountinfo").write_bytes(
        b"21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        b"22 21 0:40 / /home/me/mnt rw - fuse.sshfs me@there:/ rw,user_id=1000\n"
    )
    files = HostFiles(str(procfs.root))
    devices = (8 << 20 | 1, 40, 41)
    assert [files.answers(device) for device in devices] == [True, False, False]


@pytest.mark.parametrize("text", [b"\n", b"x y\n", b"\xff\n", b"99999999999999999999 \n"])
def test_a_list_of_mounts_that_makes_no_sense(procfs: FakeProcfs, text: bytes) -> None:
    """Nothing is believed then."""
    (procfs.root / "1/mountinfo").write_bytes(text)
    file = file_of(procfs, "/proc/version")
    assert file is not None
    assert file.foreign


@pytest.mark.parametrize("missing", ["42/exe", "42/root", "1/root"])
def test_what_may_not_be_looked_at_is_not_known(procfs: FakeProcfs, missing: str) -> None:
    """A filter that denies does not hold for it."""
    procfs.add(42)
    (procfs.root / "42/root").symlink_to("/")
    (procfs.root / missing).unlink()
    process = read_process(str(procfs.root), 42)
    assert process is not None
    assert process.file is UNREPORTED


def test_kthreadd_answers_for_the_first_process(procfs: FakeProcfs) -> None:
    """Where that may not be looked at."""
    (procfs.root / "1/root").unlink()
    procfs.add(2, parent=0)
    (procfs.root / "2/root").symlink_to("/")
    assert file_of(procfs, "/bin/sh") is None


def test_a_deleted_file(tmp_path: Path) -> None:
    """It is the host's, and has no name any more."""
    program = tmp_path / "exe"
    program.symlink_to(os.path.realpath(sys.executable))
    copy = tmp_path / "copy"
    copy.write_bytes(b"")
    copy.unlink()
    host = HostFiles("/proc")
    (tmp_path / "ns").mkdir()
    (tmp_path / "ns/user").symlink_to(os.readlink("/proc/self/ns/user"))
    file = host.file(os.fsencode(program), b"/", bytes(program), True)
    assert file is not None
    assert (file.deleted, file.foreign) == (True, False)


def test_the_mount_of_an_older_kernel() -> None:
    """Before Linux 5.8 the descriptor tells its number."""
    for path in (b"/", b"/proc/self/exe", b"/proc/version"):
        assert statx._mount_of(path, None) == statx.state_of(path).mount


def test_state_of_a_process() -> None:
    """As stat(2) tells it."""
    with subprocess.Popen(["sleep", "60"]) as child:
        seen = statx.state_of(f"/proc/{child.pid}/exe".encode())
        state = os.stat(f"/proc/{child.pid}/exe")
        child.kill()
    assert (seen.inode, seen.links) == (state.st_ino, state.st_nlink)
    assert seen.device == os.major(state.st_dev) << 20 | os.minor(state.st_dev)


@pytest.mark.parametrize(("docker", "reported"), [("", True), ("ab" * 15, False)])
def test_a_container_has_files_of_its_own(procfs: FakeProcfs, docker: str, reported: bool) -> None:
    """That they are not the host's is no news; filters know it all the same."""
    file_of(procfs, "/bin/sh", procfs.root)
    seen = read_process(str(procfs.root), 42)
    assert seen is not None
    table = ProcessTable("node", str(procfs.root))
    process = table.from_procfs(seen._replace(docker=docker))
    assert process.executed is not None
    assert (process.executed.foreign, process.executed.reported) == (True, reported)


def test_a_child_of_the_connector_runs_its_parents_file(tmp_path: Path) -> None:
    """An exec that was not seen runs a file that is not known."""
    stage = Stage(tmp_path)
    stage.procfs.add(1, parent=0)
    (stage.procfs.root / "1/root").symlink_to("/")
    stage.procfs.add(10)
    (stage.procfs.root / "10/root").symlink_to(tmp_path)
    stage.seed()
    stage.fork(10, 11)
    parent, child = stage.table.at(10), stage.table.at(11)
    assert parent is not None
    assert child is not None
    assert parent.executed is not None
    assert parent.executed.foreign
    assert child.executed is parent.executed
    event = stage.exec(11)
    assert event.process.executed is UNREPORTED
