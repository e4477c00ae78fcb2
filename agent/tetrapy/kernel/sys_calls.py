# SPDX-License-Identifier: Apache-2.0
"""System calls that Python does not offer, by number: each acts on the calling thread alone.

glibc's setresuid() and its like make every thread of the process do the same, which is not wanted
here. Numbers: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Union

_X86_64 = {
    "brk": 12, "exit": 60, "getppid": 110, "setresuid": 117, "setresgid": 119, "setfsuid": 122,
    "setfsgid": 123, "capget": 125, "capset": 126, "prctl": 157, "mount": 165, "gettid": 186,
    "inotify_add_watch": 254, "unshare": 272, "inotify_init1": 294, "perf_event_open": 298,
    "bpf": 321, "statx": 332, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "openat2": 437,
}  # fmt: skip
_GENERIC = {
    "inotify_init1": 26, "inotify_add_watch": 27, "mount": 40, "capget": 90, "capset": 91,
    "exit": 93, "unshare": 97, "setresuid": 147, "setresgid": 149,
    "setfsuid": 151, "setfsgid": 152, "prctl": 167, "getppid": 173,
    "gettid": 178, "brk": 214, "perf_event_open": 241, "bpf": 280, "statx": 291,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "openat2": 437,
}  # fmt: skip
NUMBERS = _X86_64 if os.uname().machine == "x86_64" else _GENERIC

# include/uapi/linux/prctl.h
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 1, 4, 8
PR_SET_NAME, PR_GET_NAME, PR_SET_THP_DISABLE = 15, 16, 41
# include/uapi/linux/sched.h
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000

_CAPABILITY_VERSION_3 = 0x20080522  # include/uapi/linux/capability.h

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


def call(name: str, *arguments: Union[int, bytes, None]) -> int:
    """Do a system call; the Python lock is released meanwhile. Raises OSError."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result: int = _syscall(ctypes.c_long(NUMBERS[name]), *words)
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def get_thread_name() -> bytes:
    """The name of the calling thread, at most 15 bytes."""
    name = ctypes.create_string_buffer(16)
    call("prctl", PR_GET_NAME, ctypes.addressof(name), 0, 0, 0)
    return name.value


def set_thread_name(name: bytes) -> None:
    """Give the calling thread a name; threads and processes that it makes inherit it."""
    call("prctl", PR_SET_NAME, name[:15], 0, 0, 0)


def set_user_ids(uid: int, euid: int, suid: int, fsuid: int) -> None:
    """Change the four user ids of the calling thread, keeping its capabilities. Raises OSError."""
    call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    call("setresuid", uid, euid, suid)
    # Only root's effective capabilities are kept; an fsuid other than these three needs one.
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    sets = (ctypes.c_uint32 * 6)()  # twice effective, permitted, inheritable
    call("capget", ctypes.addressof(header), ctypes.addressof(sets))
    sets[0], sets[3] = sets[1], sets[4]
    call("capset", ctypes.addressof(header), ctypes.addressof(sets))
    call("setfsuid", fsuid)
    # It reports no errors; asked for an invalid id it returns the present one.
    if call("setfsuid", -1) != fsuid:
        raise OSError(errno.EPERM, "setfsuid: without effect")


def set_group_ids(gid: int, egid: int, sgid: int, fsgid: int) -> None:
    """Change the four group ids of the calling thread. Raises OSError."""
    call("setresgid", gid, egid, sgid)
    call("setfsgid", fsgid)
    if call("setfsgid", -1) != fsgid:
        raise OSError(errno.EPERM, "setfsgid: without effect")
