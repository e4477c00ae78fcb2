# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: contained.py COMMAND..., the command as a container's first process.

It has pid, cgroup and mount namespaces of its own and a procfs of its own in /proc; the host's is
in /host/proc, as a container that watches its host has it.  SIGTERM is handed on, the exit code is
the command's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_NEWNS, _NEWCGROUP, _NEWPID = 0x00020000, 0x02000000, 0x20000000  # CLONE_* of linux/sched.h
_BIND, _REC, _PRIVATE = 0x1000, 0x4000, 0x40000  # MS_* of linux/mount.h
_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """A libc function that returns 0; OSError otherwise."""
    if getattr(_libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{arguments}: {os.strerror(number)}")


def main() -> None:
    group = "/sys/fs/cgroup/container"
    os.makedirs(group, exist_ok=True)
    with open(f"{group}/cgroup.procs", "w") as procs:
        procs.write("0")
    call("unshare", _NEWNS | _NEWCGROUP | _NEWPID)
    call("mount", b"none", b"/", None, _REC | _PRIVATE, None)
    child = os.fork()
    if not child:
        os.makedirs("/host/proc", exist_ok=True)
        call("mount", b"/proc", b"/host/proc", None, _BIND | _REC, None)
        call("mount", b"proc", b"/proc", b"proc", 0, None)
        os.execv(sys.argv[1], sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda number, frame: os.kill(child, number))
    status = os.waitpid(child, 0)[1]
    with open("/sys/fs/cgroup/cgroup.procs", "w") as procs:
        procs.write("0")
    os.rmdir(group)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
