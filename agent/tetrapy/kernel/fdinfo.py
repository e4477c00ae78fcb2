# SPDX-License-Identifier: Apache-2.0
"""What procfs tells of the files that this process has open (/proc/self/fdinfo)."""

from __future__ import annotations

_MEMLOCK = b"memlock:"


def kernel_memory(fd: int) -> int:
    """Bytes of kernel memory of a descriptor's BPF map or program; 0 where none is reported."""
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
            for line in file:
                if line.startswith(_MEMLOCK):
                    return int(line[len(_MEMLOCK) :])
    except (OSError, ValueError):
        pass
    return 0
