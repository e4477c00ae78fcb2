# SPDX-License-Identifier: Apache-2.0
"""Files of the machine, which an agent in a container finds below the root of its first process."""

from __future__ import annotations

import errno
import os

_MAX_LINKS = 40  # on the way to a file, as in the kernel


def host_root(procfs: str) -> str:
    """What stands before paths of the machine: the root of the first process that `procfs` shows.

    Empty where that may not be looked into: paths are then this process' own.
    """
    root = f"{procfs.rstrip('/')}/1/root" if procfs else ""
    return root if root and os.path.isdir(f"{root}/") else ""


def host_path(root: str, path: str) -> str:
    """Where this process finds what is at the absolute `path` below `root`, be it there or not.

    The kernel follows a link that begins with a slash, as that of /var/run often does, from the
    root of who opens it; so links are followed here, below `root`. Raises OSError for a circle.
    """
    if not root:
        return path
    found, left, links = "", path.split("/")[::-1], 0
    while left:
        name = left.pop()
        if name == "..":
            found = found.rpartition("/")[0]
        elif name not in {"", "."}:
            target = _target(f"{root}{found}/{name}")
            if not target:
                found += f"/{name}"
                continue
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if target.startswith("/"):
                found = ""
            left += target.split("/")[::-1]
    return root + found


def _target(path: str) -> str:
    """Where a link leads; empty for all else, and for those of procfs that lead elsewhere than they
    say: their length is not that of what they say.
    """
    try:
        target = os.readlink(path)
        return target if os.lstat(path).st_size == len(os.fsencode(target)) else ""
    except OSError:
        return ""
