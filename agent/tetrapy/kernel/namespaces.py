# SPDX-License-Identifier: Apache-2.0
"""In which namespaces this process is, as far as it can be known."""

from __future__ import annotations

import ctypes
import os
from typing import Iterator, List

# The initial ones: include/linux/proc_ns.h. Network namespaces have such a number since Linux 6.18
# only, so pid 1 is asked.
_INITIAL = {"pid": 0xEFFFFFFC, "user": 0xEFFFFFFD}

# By those of this process procfs and the clocks answer, while the kernel's records do not. With
# their flags for setns(2), include/uapi/linux/sched.h.
_VIEWS = {"cgroup": (0xEFFFFFFB, 0x02000000), "time": (0xEFFFFFFA, 0x00000080)}


def own_namespaces(root: str = "/proc") -> List[str]:
    """Which of `pid`, `user` and `net` are not the machine's own; those that hide are left out."""
    found = [
        kind for kind, inode in _INITIAL.items() if _inode(root, "self", kind) not in {0, inode}
    ]
    here, initial = _inode(root, "self", "net"), _inode(root, "1", "net")
    if here and initial and here != initial:
        found.append("net")
    return found


def take_the_machines_view(root: str) -> List[str]:
    """Enter the machine's own cgroup and time namespaces; returns those that could not be entered.

    Procfs at `root` has to show the machine's processes, one of which is followed. To be called
    while the process has one thread: the time namespace is refused to others.
    """
    foreign = []
    for kind, (initial, flag) in _VIEWS.items():
        if _inode(root, "self", kind) not in {0, initial} and not _enter(root, kind, initial, flag):
            foreign.append(kind)
    return foreign


def _enter(root: str, kind: str, initial: int, flag: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    for path in _of_processes(root, kind):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if os.fstat(fd).st_ino == initial:
                return not libc.setns(fd, flag)
        finally:
            os.close(fd)
    return False


def _of_processes(root: str, kind: str) -> Iterator[str]:
    """Of all processes, pid 1 first: another one's may be open where its are not."""
    try:
        pids = sorted(int(name) for name in os.listdir(root) if name.isdigit())
    except OSError:
        return
    for pid in pids:
        yield f"{root}/{pid}/ns/{kind}"


def _inode(root: str, process: str, kind: str) -> int:
    try:
        return os.stat(f"{root}/{process}/ns/{kind}").st_ino
    except OSError:
        return 0
