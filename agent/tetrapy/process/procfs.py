# SPDX-License-Identifier: Apache-2.0
"""Processes as procfs shows them (proc(5)): those that were there before the agent."""

from __future__ import annotations

import os
from functools import lru_cache, partial
from typing import Hashable, Iterator, List, Mapping, Optional, Sequence, Tuple

from tetrapy.containers.cgroup import ContainerRef, container_of_procfs, outermost_of_procfs
from tetrapy.events import flags
from tetrapy.events.credentials import Capabilities, Credentials
from tetrapy.events.cut import REPEATED, cut
from tetrapy.events.executed import ExecutedFile
from tetrapy.events.namespaces import Namespaces
from tetrapy.events.process import UNSET_ID
from tetrapy.events.text import command_line_text, to_text
from tetrapy.kernel.cached_path import open_cached
from tetrapy.kernel.statx import FileState, state_of
from tetrapy.named import NamedTuple
from tetrapy.process.bounded_reads import BoundedReads
from tetrapy.process.files import host_files

INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO, include/linux/proc_ns.h
# Inode numbers of the initial namespaces (the same header).
_INITIAL: Mapping[str, int] = {
    "uts": 0xEFFFFFFE,
    "ipc": 0xEFFFFFFF,
    "pid": INITIAL_PID_NAMESPACE,
    "time": 0xEFFFFFFA,
    "cgroup": 0xEFFFFFFB,
    "user": 0xEFFFFFFD,
}

_DEAD = (b"Z", b"X")
_DELETED = b" (deleted)"
_PF_KTHREAD = 0x00200000  # include/linux/sched.h

# Bytes of a command line that are read, and of JSON that is kept of it: a process that was there
# before is reported in lines that repeat it.
_READ = 4 * REPEATED

_SUBORDINATE = 65536  # uids from here on are given out in blocks of so many

TICK_NS = 10_000_000  # procfs counts start times in hundredths of a second on every architecture


class ProcfsProcess(NamedTuple):
    """One directory of procfs."""

    pid: int
    parent_pid: int
    start: int  # ns since boot, a multiple of 10 ms
    uid: int  # effective
    real_uid: int
    auid: int
    binary: str
    arguments: str
    cwd: str
    flags: int
    docker: str
    inner_pid: int  # pid in its own pid namespace; 0 in the initial one
    has_command_line: bool
    is_kernel_thread: bool
    file: Optional[ExecutedFile] = None  # that it executes; None if it is the host's at `binary`
    container: Optional[ContainerRef] = None  # the one that has `docker`
    outermost: str = ""  # container: see outermost_of_procfs


def foreign_namespace(root: str) -> int:
    """The inode of the pid namespace that `root` belongs to, 0 when that is the initial one.

    The kernel's records name pids of the initial namespace; those of another are other processes.
    A namespace that may not be looked at counts as the initial one.
    """
    inode = _namespace(f"{root}/1/ns", "pid")
    return 0 if inode == INITIAL_PID_NAMESPACE else inode


def list_pids(root: str) -> Iterator[int]:
    """The pids below `root` (usually /proc/).

    Raises OSError when `root` cannot be listed.
    """
    for name in os.listdir(root):
        if name.isdigit():
            yield int(name)


def reads_of(root: str) -> BoundedReads:
    """What reads in `root` that may wait for others are made by."""
    return _reads_of(root.rstrip("/"))


@lru_cache(maxsize=4)
def _reads_of(root: str) -> BoundedReads:
    return BoundedReads(partial(owner_of, root))


def owner_of(root: str, pid: int) -> Hashable:
    """Who answers for what is read about a process: its user, or its container if that is root.

    Subordinate users, which one user has thousands of, count together in blocks.
    """
    base = f"{root}/{pid}"
    uid, _, _ = _status(_try_read(base, "status"))
    if uid:
        return uid if uid < _SUBORDINATE else uid & -_SUBORDINATE
    container = container_of_procfs(_try_read(base, "cgroup"))
    return uid if container is None else container.id


def read_process(root: str, pid: int, most: int = REPEATED) -> Optional[ProcfsProcess]:
    """What procfs shows of `pid`; None when it is gone (or a zombie, which is the same).

    Arguments that take more than `most` bytes of JSON are cut, and the flags say so; so do they if
    the process keeps others from reading them.
    """
    return reads_of(root).one(pid, partial(read_shown, root, most))


def read_processes(root: str, pids: Sequence[int]) -> List[Optional[ProcfsProcess]]:
    """The same of many."""
    return reads_of(root).each(pids, partial(read_shown, root, REPEATED))


def read_shown(root: str, most: int, pid: int, may_wait: bool) -> Optional[ProcfsProcess]:
    """The same, within reads that are bounded: what others can keep from ending only if it may
    wait.
    """
    base = os.path.join(root, str(pid))
    try:
        stat = _read(base, "stat")
        # The name in parentheses may itself contain blanks and parentheses.
        fields = stat[stat.rindex(b")") + 2 :].split()
        if fields[0] in _DEAD:
            base = _living_thread(base, str(pid))
        cmdline = _read(base, "cmdline", _READ) if may_wait else b""
        status = _read(base, "status")
    except OSError:
        return None
    is_kernel_thread = bool(int(fields[6]) & _PF_KTHREAD)
    bits = flags.PROCFS
    real_uid, uid, inner_pid = _status(status)
    cgroup = _try_read(base, "cgroup")
    container = container_of_procfs(cgroup)
    file: Optional[ExecutedFile] = None
    if is_kernel_thread:
        comm = stat[stat.index(b"(") + 1 : stat.rindex(b")")]
        binary, arguments, cwd = f"[{to_text(comm)}]", "", ""
    else:
        cwd, cwd_bits = _cwd(base)
        bits |= cwd_bits
        exe, root_link = os.fsencode(f"{base}/exe"), os.fsencode(f"{base}/root")
        path, deleted = place_of(exe, root_link, may_wait=may_wait)
        file = host_files(root).file(exe, root_link, path, deleted)
        binary = to_text(path or cmdline.split(b"\0", 1)[0])
        text = command_line_text(cmdline)
        arguments = cut(text, most)
        if len(cmdline) == _READ or len(arguments) < len(text):
            bits |= flags.TRUNC_ARGS
        if not may_wait:
            bits |= flags.ERROR_ARGS
    return ProcfsProcess(
        pid=pid,
        parent_pid=int(fields[1]),
        start=int(fields[19]) * TICK_NS,
        uid=uid,
        real_uid=real_uid,
        auid=_login_uid(base),
        binary=binary,
        arguments=arguments,
        cwd=cwd,
        flags=bits,
        docker=container.docker if container is not None else "",
        inner_pid=inner_pid,
        has_command_line=bool(cmdline),
        is_kernel_thread=is_kernel_thread,
        file=file,
        container=container,
        outermost=outermost_of_procfs(cgroup),
    )


class ProcfsContext(NamedTuple):
    """What is read only for those who ask."""

    capabilities: Capabilities
    credentials: Credentials
    namespaces: Namespaces


def read_context(root: str, pid: int) -> Optional[ProcfsContext]:
    """Credentials and namespaces of `pid`; None when it is gone, or may not be looked at."""
    base = os.path.join(root, str(pid))
    try:
        lines = dict(
            line.split(b":\t", 1) for line in _read(base, "status").splitlines() if b":\t" in line
        )
        uid, euid, suid, fsuid = map(int, lines[b"Uid"].split())
        gid, egid, sgid, fsgid = map(int, lines[b"Gid"].split())
        permitted, effective, inheritable = (
            int(lines[name], 16) for name in (b"CapPrm", b"CapEff", b"CapInh")
        )
    except (OSError, KeyError, ValueError):
        return None
    return ProcfsContext(
        Capabilities(permitted, effective, inheritable),
        # procfs does not tell secure bits.
        Credentials(uid, gid, euid, egid, suid, sgid, fsuid, fsgid, 0),
        read_namespaces(root, pid),
    )


def read_namespaces(root: str, pid: int) -> Namespaces:
    """Inode numbers of the namespaces of `pid`; 0 for those that are not there."""
    base = os.path.join(root, str(pid), "ns")
    return Namespaces(*(_namespace(base, name) for name in Namespaces._fields))


def host_namespaces(root: str) -> Namespaces:
    """Those of the machine's first process; where it may not be looked at, the initial ones.

    Of mounts and network these have no number that all kernels give: those of this process then,
    see `are_host_namespaces_known`.
    """
    first = read_namespaces(root, 1)
    return first if any(first) else _initial(read_namespaces(root, os.getpid()))


def are_host_namespaces_known(root: str) -> bool:
    """Whether `host_namespaces` need not take this process's for the host's that are another's."""
    if _namespace(f"{root}/1/ns", "mnt"):
        return True
    own = read_namespaces(root, os.getpid())
    return own == _initial(own)


def _initial(own: Namespaces) -> Namespaces:
    # Those that this kernel has.
    numbers = {name: number for name, number in _INITIAL.items() if getattr(own, name)}
    return own._replace(**numbers)


def _namespace(base: str, name: str) -> int:
    # Of the link's text, for the inode of a link that may not be followed is another's.
    _, _, inode = _link(base, name).partition(":[")
    number = inode[:-1]
    return int(number) if number.isdigit() else 0


def _living_thread(base: str, leader: str) -> str:
    """The directory of another thread: a leader that is dead may have left threads behind.

    Raises OSError when there are none.
    """
    threads = [name for name in os.listdir(f"{base}/task") if name != leader]
    if not threads:
        raise ProcessLookupError(base)
    return f"{base}/task/{threads[0]}"


def _read(base: str, name: str, most: int = -1) -> bytes:
    with open(f"{base}/{name}", "rb", buffering=0) as file:
        return file.read(most) or b""


def _try_read(base: str, name: str) -> bytes:
    try:
        return _read(base, name)
    except OSError:
        return b""


def place_of(
    link: bytes, root: bytes, dir_fd: Optional[int] = None, may_wait: bool = True
) -> Tuple[bytes, bool]:
    """Where a link of procfs (`exe`) leads, and whether that has been deleted.

    The path is empty when it cannot be read. `root` is the link to the process's root. The kernel
    puts ` (deleted)` behind the path of a file that is not there any more; a file may also be
    called so, which is looked at if it may wait for the file systems on the way.
    """
    try:
        target = os.readlink(link, dir_fd=dir_fd)
    except OSError:
        return b"", False
    if not target.endswith(_DELETED):
        return target, False
    try:
        if may_wait and state_of(link, dir_fd) == _state_at(root, target, dir_fd):
            return target, False
    except OSError:
        pass
    return target[: -len(_DELETED)], True


def _state_at(root: bytes, path: bytes, dir_fd: Optional[int]) -> FileState:
    fd = open_cached(root, path, dir_fd)
    try:
        return state_of(b"/proc/self/fd/%d" % fd)
    finally:
        os.close(fd)


def _link(base: str, name: str) -> str:
    try:
        return to_text(os.readlink(os.fsencode(f"{base}/{name}")))
    except OSError:
        return ""


def _cwd(base: str) -> tuple[str, int]:
    # One that was removed ends in ` (deleted)`, as the kernel side and Tetragon tell it.
    cwd = _link(base, "cwd")
    if not cwd:
        return "", flags.ROOT_CWD | flags.ERROR_CWD
    if cwd == "/":
        return cwd, flags.ROOT_CWD
    return cwd, 0


def _status(status: bytes) -> tuple[int, int, int]:
    """The real and the effective uid, and the pid in the innermost pid namespace; 0 in the initial
    one.
    """
    real_uid = uid = UNSET_ID
    inner_pid = 0
    for line in status.splitlines():
        if line.startswith(b"Uid:"):
            real_uid, uid = map(int, line.split()[1:3])
        elif line.startswith(b"NSpid:"):
            numbers = line.split()[1:]
            inner_pid = int(numbers[-1]) if len(numbers) > 1 else 0
    return real_uid, uid, inner_pid


def _login_uid(base: str) -> int:
    try:
        return int(_read(base, "loginuid"))
    except (OSError, ValueError):
        return UNSET_ID
