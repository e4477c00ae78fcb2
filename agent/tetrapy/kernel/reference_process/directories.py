# SPDX-License-Identifier: Apache-2.0
"""The root and the working directory of the prepared process."""

from __future__ import annotations

import os
from typing import List, Tuple

from tetrapy.kernel.reference_process import procfs_self
from tetrapy.named import NamedTuple

Names = Tuple[bytes, ...]


class Directories(NamedTuple):
    """The names on the way from a mount point down to the working directory."""

    mount_point: bytes  # its last component
    root: Names  # from the root of the mount to the root directory
    cwd: Names  # from there to the working directory


def change_root(root: str, cwd: str) -> Directories:
    """Change both for the calling process: to those given, or to its own in procfs.

    Containers have parts of /proc/sys masked or mounted over themselves. Raises OSError when
    neither can be done; then both are the root directory that it has.
    """
    own = "/proc/" + os.readlink("/proc/thread-self")  # PID/task/TID
    refused = []
    ways = ((root, root, cwd), ("/proc/PID", os.path.dirname(os.path.dirname(own)), own))
    for name, top, below in ways:
        try:
            return _change(os.fsencode(top), os.fsencode(below))
        except OSError as err:
            refused.append(f"{name}: {err.strerror or err}")
    os.chdir("/")  # on one mount at least
    raise OSError("; ".join(refused))


def _change(root: bytes, cwd: bytes) -> Directories:
    mount = _mount(root)
    if _mount(cwd) != mount:
        raise OSError(f"{os.fsdecode(cwd)} and {os.fsdecode(root)} are on different mounts")
    if mount.root != b"/":
        # Mounted on itself, as it often is, its root is its mount point: nothing would tell which
        # of the two a layout has.
        raise OSError(f"{os.fsdecode(mount.point)} is a part of a file system, mounted")
    os.chdir(cwd)
    os.chroot(root)
    name = mount.point.rpartition(b"/")[2]
    return Directories(name, _names(root, mount.point), _names(cwd, root))


def _mount(path: bytes) -> procfs_self.Mount:
    """The mount that a directory is on."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        number = procfs_self.mount_number(directory)
    finally:
        os.close(directory)
    for mount in procfs_self.mounts():
        if mount.number == number:
            return mount
    raise OSError(f"/proc/thread-self/mountinfo does not list the mount of {os.fsdecode(path)}")


def _names(path: bytes, base: bytes) -> Names:
    """The components that lead from one directory down to another."""
    relative = os.path.relpath(path, base)
    names: List[bytes] = [] if relative == b"." else relative.split(b"/")
    return tuple(names)
