# SPDX-License-Identifier: Apache-2.0
"""Reading processes out of a procfs made for the test."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.procfs import PF_KTHREAD, FakeProcfs
from tests.support.records import UNSET
from tetrapy.events.executed import UNREPORTED
from tetrapy.events.flags import flag_words
from tetrapy.process.procfs import ProcfsProcess, foreign_namespace, list_pids, read_process
from tetrapy.sensors.connector.snapshot import take_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "5ca1ab1e" * 8


@pytest.fixture
def procfs(tmp_path: Path) -> FakeProcfs:
    return FakeProcfs(tmp_path / "proc")


def read(procfs: FakeProcfs, pid: int) -> ProcfsProcess:
    process = read_process(str(procfs.root), pid)
    assert process is not None
    return process


def test_an_ordinary_process(procfs: FakeProcfs) -> None:
    """Each field from its file: stat, status, cmdline, exe, cwd, loginuid."""
    procfs.add(
        42,
        parent=7,
        ticks=123_456,
        uid=(1000, 1001, 1002, 1003),
        auid=1004,
        exe="/usr/bin/python3",
        cwd="/home/me",
        argv=(b"python3", b"-c", b"a b"),
    )
    assert read(procfs, 42) == ProcfsProcess(
        pid=42,
        parent_pid=7,
        start=1_234_560_000_000,
        uid=1001,  # the effective one
        real_uid=1000,
        auid=1004,
        binary="/usr/bin/python3",
        arguments='-c "a b"',
        cwd="/home/me",
        flags=0x4,
        docker="",
        inner_pid=0,
        has_command_line=True,
        is_kernel_thread=False,
        file=UNREPORTED,  # nobody shows the host's root directory here
    )


@pytest.mark.parametrize(
    "comm", [b"a b", b"a) S 1 2 3 (b", b")", b"(", b"", b"x) R 9 9", b"\xff\xfe", b"new\nline"]
)
def test_a_name_with_blanks_and_parentheses(procfs: FakeProcfs, comm: bytes) -> None:
    """stat is read from behind the last parenthesis, whatever the name looks like."""
    procfs.add(42, parent=7, ticks=99, comm=comm)
    process = read(procfs, 42)
    assert (process.parent_pid, process.start) == (7, 990_000_000)


@pytest.mark.parametrize(
    ("comm", "binary"),
    [
        (b"kthreadd", "[kthreadd]"),
        (b"kworker/0:1H-kblockd", "[kworker/0:1H-kblockd]"),
        (b"a) (b", "[a) (b]"),
        (b"x\xff\xfe", "[x\ufffd]"),
    ],
)
def test_a_kernel_thread(procfs: FakeProcfs, comm: bytes, binary: str) -> None:
    """It has no arguments, no executable and no working directory; its name is in brackets."""
    procfs.add(2, parent=0, comm=comm, argv=(), exe=None, cwd=None, stat_flags=PF_KTHREAD)
    process = read(procfs, 2)
    assert process.is_kernel_thread
    assert (process.binary, process.arguments, process.cwd) == (binary, "", "")
    assert flag_words(process.flags) == "procFS"


def test_a_process_without_arguments_is_no_kernel_thread(procfs: FakeProcfs) -> None:
    """A process can clear its argument area; the kernel marks its own threads otherwise."""
    procfs.add(42, argv=(), exe="/usr/bin/quiet", cwd="/")
    process = read(procfs, 42)
    assert not process.is_kernel_thread
    assert process.binary == "/usr/bin/quiet"
    assert process.arguments == ""


@pytest.mark.parametrize(
    ("cwd", "shown", "words"),
    [
        ("/", "/", "procFS rootcwd"),
        ("/root", "/root", "procFS"),
        (None, "", "procFS rootcwd errorCWD"),
        ("/gone (deleted)", "/gone (deleted)", "procFS"),
    ],
)
def test_working_directories(procfs: FakeProcfs, cwd: str | None, shown: str, words: str) -> None:
    """The root and one that cannot be read have Tetragon's flags."""
    procfs.add(42, cwd=cwd)
    process = read(procfs, 42)
    assert process.cwd == shown
    assert flag_words(process.flags) == words


def test_an_executable_that_cannot_be_read(procfs: FakeProcfs) -> None:
    """argv[0] then stands for the binary."""
    procfs.add(42, exe=None, argv=(b"/sbin/init", b"x"))
    assert read(procfs, 42).binary == "/sbin/init"


@pytest.mark.parametrize(
    ("argv", "cwd", "shown"),
    [
        ((b"sh",), "/root", ""),
        ((b"sh", b""), "/root", ""),
        ((b"sh", b"a", b""), "/root", 'a ""'),
        ((b"sh", b"a", b""), "/", 'a ""'),
        ((b"sh", b"\xff\xfe", b"\xc3\xa9"), "/", "\ufffd \u00e9"),
    ],
)
def test_arguments(procfs: FakeProcfs, argv: tuple[bytes, ...], cwd: str, shown: str) -> None:
    """They are joined as those of an exec are."""
    procfs.add(42, argv=argv, cwd=cwd)
    assert read(procfs, 42).arguments == shown


@contextlib.contextmanager
def sleeper(path: Path, cwd: Path) -> Iterator[int]:
    """A process that runs a copy of sleep(1) at `path`; its pid."""
    shutil.copy(shutil.which("sleep") or "/bin/sleep", path)
    with subprocess.Popen([path, "1000"], cwd=cwd) as process:
        while Path(f"/proc/{process.pid}/exe").resolve() == Path(sys.executable).resolve():
            time.sleep(0.001)
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["daemon", "daemon (deleted)"])
@pytest.mark.parametrize("change", ["stays", "goes", "is replaced", "has another name"])
def test_files_that_are_not_there_any_more(tmp_path: Path, name: str, change: str) -> None:
    """A program's path is what it was; of a directory it is told that it was removed."""
    path, directory = tmp_path / name, tmp_path / "cwd (deleted)"
    directory.mkdir()
    with sleeper(path, directory) as pid:
        if change == "has another name":
            path.with_name("other").hardlink_to(path)
        if change != "stays":
            path.unlink()
            directory.rmdir()
        if change == "is replaced":
            path.write_text("new")
            directory.mkdir()
        process, seen = read_process("/proc", pid), take_snapshot("/proc", pid)
    assert process is not None
    assert seen is not None
    cwd = str(directory) if change == "stays" else f"{directory} (deleted)"
    assert (process.binary, process.cwd) == (str(path), cwd)
    assert (seen.exe, seen.cwd) == (bytes(path), cwd.encode())


def test_paths_that_are_not_utf8(procfs: FakeProcfs) -> None:
    """Each run of invalid bytes becomes one U+FFFD."""
    procfs.add(42, exe=os.fsdecode(b"/bin/\xff\xfex"), cwd=os.fsdecode(b"/\xe9"))
    process = read(procfs, 42)
    assert (process.binary, process.cwd) == ("/bin/\ufffdx", "/\ufffd")


@pytest.mark.parametrize(
    ("cgroup", "nspid", "docker", "inner"),
    [
        ("0::/init.scope", "42", "", 0),
        ("0::/init.scope", "42\t1", "", 1),  # a pid namespace without a container
        (f"0::/docker/{ID}", "42\t1", ID[:31], 1),
        (f"0::/docker/{ID}", "42\t9\t1", ID[:31], 1),
        (f"4:memory:/docker/{ID}\n0::/", "42\t17", ID[:31], 17),
    ],
)
def test_processes_of_containers(
    procfs: FakeProcfs, cgroup: str, nspid: str, docker: str, inner: int
) -> None:
    """The container is the cgroup's; the inner pid is the innermost one."""
    procfs.add(42, cgroup=cgroup, nspid=nspid)
    process = read(procfs, 42)
    assert (process.docker, process.inner_pid) == (docker, inner)


@pytest.mark.parametrize("name", ["stat", "cmdline", "status"])
def test_a_process_that_is_gone(procfs: FakeProcfs, name: str) -> None:
    """A process that ends while it is read is not there."""
    procfs.add(42)
    (procfs.root / "42" / name).unlink()
    assert read_process(str(procfs.root), 42) is None
    assert read_process(str(procfs.root), 43) is None


@pytest.mark.parametrize("name", ["cgroup", "loginuid"])
def test_files_that_some_kernels_do_not_have(procfs: FakeProcfs, name: str) -> None:
    """Without cgroups or without audit the rest of the process is read."""
    procfs.add(42, auid=7, cgroup=f"0::/docker/{ID}")
    (procfs.root / "42" / name).unlink()
    process = read(procfs, 42)
    assert process.auid == (UNSET if name == "loginuid" else 7)
    assert process.docker == ("" if name == "cgroup" else ID[:31])


def test_an_unset_login_uid(procfs: FakeProcfs) -> None:
    """Processes of the system have none, which is 4294967295."""
    procfs.add(42, auid=UNSET)
    assert read(procfs, 42).auid == UNSET


def test_status_without_nspid(procfs: FakeProcfs) -> None:
    """A kernel without pid namespaces shows no inner pid."""
    procfs.add(42, nspid=None, cgroup=f"0::/docker/{ID}")
    assert read(procfs, 42).inner_pid == 0


def test_only_processes_are_listed(procfs: FakeProcfs) -> None:
    """Directories with decimal names, and nothing else that procfs has."""
    for pid in (1, 42, 4194304):
        procfs.add(pid)
    for name in ("self", "sys", "1x", "meminfo"):
        (procfs.root / name).mkdir()
    assert sorted(list_pids(str(procfs.root))) == [1, 42, 4194304]
    with pytest.raises(FileNotFoundError):
        list(list_pids(str(procfs.root / "none")))


def test_this_process() -> None:
    """The real procfs shows the process that runs this test."""
    process = read_process("/proc/", os.getpid())
    assert process is not None
    assert process.parent_pid == os.getppid()
    assert process.uid == os.geteuid()
    assert process.binary == str(Path("/proc/self/exe").resolve())
    assert process.cwd == str(Path.cwd())
    assert process.start > 0
    assert not process.is_kernel_thread


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_dead_process_is_gone(procfs: FakeProcfs, state: str) -> None:
    """A zombie told its end before the agent came, so it is not there."""
    procfs.add(42, state=state, argv=(), exe=None, cwd=None)
    (procfs.root / "42/task/42").mkdir(parents=True)
    (procfs.root / "42/task/42/stat").write_bytes((procfs.root / "42/stat").read_bytes())
    assert read_process(str(procfs.root), 42) is None


def test_a_process_whose_first_thread_ended(procfs: FakeProcfs) -> None:
    """Its other threads live on: what they show is the process's."""
    procfs.add(42, parent=7, ticks=50, state="Z", argv=(), exe=None, cwd=None)
    threads = FakeProcfs(procfs.root / "42/task")
    threads.add(42, state="Z", argv=(), exe=None, cwd=None)
    threads.add(43, ticks=60, argv=(b"prog", b"x"), exe="/bin/prog", cwd="/srv")
    process = read(procfs, 42)
    assert (process.pid, process.parent_pid, process.start) == (42, 7, 500_000_000)
    assert (process.binary, process.arguments, process.cwd) == ("/bin/prog", "x", "/srv")
    assert not process.is_kernel_thread


def test_a_procfs_of_another_pid_namespace(procfs: FakeProcfs) -> None:
    """It is known by the namespace of its pid 1; one that tells nothing counts as the host's."""
    assert foreign_namespace(str(procfs.root)) == 0
    procfs.add(1)
    (procfs.root / "1/ns").mkdir()
    (procfs.root / "1/ns/pid").write_text("no link, so nothing is told")
    assert foreign_namespace(str(procfs.root)) == 0
    (procfs.root / "1/ns/pid").unlink()
    (procfs.root / "1/ns/pid").symlink_to("pid:[4026532321]")
    assert foreign_namespace(str(procfs.root)) == 4026532321


def test_the_hosts_procfs(procfs: FakeProcfs) -> None:
    """The initial pid namespace has the number 0xEFFFFFFC on every kernel."""
    procfs.add(1)
    (procfs.root / "1/ns").mkdir()
    (procfs.root / "1/ns/pid").symlink_to("pid:[4026531836]")
    assert foreign_namespace(str(procfs.root)) == 0
