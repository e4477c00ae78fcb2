"""Which cgroup hierarchy tells of containers on this host."""

from __future__ import annotations

import ctypes

from tetrapy.kernel.libbpf import last_errno

_CGROUP2_MAGIC = 0x63677270  # include/uapi/linux/magic.h


def is_unified(path: str = "/sys/fs/cgroup") -> bool:
    """Whether the host runs the unified hierarchy (cgroup version 2) alone.

    A host without cgroups at all counts as unified: then there is nothing to tell.
    """
    buffer = ctypes.create_string_buffer(256)  # struct statfs; its first word is the type
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.statfs(path.encode(), buffer):
        return last_errno() != 0
    return bool(ctypes.c_long.from_buffer(buffer).value == _CGROUP2_MAGIC)
