"""In which namespaces this process is, as far as it can be told."""

from __future__ import annotations

import os
from typing import List

# The initial ones: include/linux/proc_ns.h. Network namespaces have such a number since Linux 6.18
# only, so pid 1 is asked.
_INITIAL = {"pid": 0xEFFFFFFC, "user": 0xEFFFFFFD}


def own_namespaces(root: str = "/proc") -> List[str]:
    """Which of `pid`, `user` and `net` are not the machine's own; those that hide are left out."""
    found = [
        kind for kind, inode in _INITIAL.items() if _inode(root, "self", kind) not in {0, inode}
    ]
    here, initial = _inode(root, "self", "net"), _inode(root, "1", "net")
    if here and initial and here != initial:
        found.append("net")
    return found


def _inode(root: str, process: str, kind: str) -> int:
    try:
        return os.stat(f"{root}/{process}/ns/{kind}").st_ino
    except OSError:
        return 0
