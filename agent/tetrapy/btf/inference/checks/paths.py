# SPDX-License-Identifier: Apache-2.0
"""Checks of directories and mounts: fs_struct, path, dentry, mount.

The reference process's working directory is below its root directory, both on one mount, and that
mount is on another.  The names on the way are known.
"""

from __future__ import annotations

from typing import List, Optional, Sequence

from tetrapy.btf.inference.checks.check import Check, check
from tetrapy.btf.inference.memory import Memory, Unreadable
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.view import View

CHECKS: List[Check] = []

# More directories above each other, or mounts, than a reference process has.
MAX_STEPS = 1024


@check(
    CHECKS,
    "names of the working directory",
    "task_struct.fs",
    "fs_struct.pwd.dentry",
    "fs_struct.root.dentry",
    "dentry.d_name.len",
    "dentry.d_name.name",
    "dentry.d_parent",
)
def _cwd(view: View, reference: ReferenceProcess) -> Optional[bool]:
    # "real_fs, fs" (include/linux/sched.h, since 7.1): equal for our tasks.
    at = reference.thread.address + view["task_struct.fs"]
    fs = view.memory.pointer(at)
    if view.memory.u64(at + 8) == fs:
        return False
    if not reference.cwd_names:
        return None
    pwd, root = view.follow(fs, "fs_struct.pwd.dentry"), view.follow(fs, "fs_struct.root.dentry")
    return climb(view, pwd, reference.cwd_names) == root != pwd


@check(CHECKS, "directory in the table of names", "dentry.d_hash.pprev")
def _hashed(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if not reference.cwd_names:
        return None
    fs = view.follow(reference.thread.address, "task_struct.fs")
    dentry = view.follow(fs, "fs_struct.pwd.dentry")
    at = view["dentry.d_hash.pprev"]
    return at == view["dentry.d_parent"] - 8 and is_hashed(view.memory, dentry, at)


@check(
    CHECKS,
    "root of the mount",
    "fs_struct.pwd.mnt",
    "fs_struct.root.mnt",
    "mount.mnt",
    "mount.mnt.mnt_root",
)
def _mount_root(view: View, reference: ReferenceProcess) -> Optional[bool]:
    # struct path is "mnt, dentry" (include/linux/path.h).
    for path in ("fs_struct.pwd", "fs_struct.root"):
        if view[f"{path}.mnt"] != view[f"{path}.dentry"] - 8:
            return False
    if not reference.cwd_names:
        return None
    fs = view.follow(reference.thread.address, "task_struct.fs")
    mnt = view.follow(fs, "fs_struct.pwd.mnt")
    if view.follow(fs, "fs_struct.root.mnt") != mnt:
        return False
    top = climb(view, view.follow(fs, "fs_struct.root.dentry"), reference.root_names)
    return view.u64(mnt - view["mount.mnt"], "mount.mnt.mnt_root") == top


@check(
    CHECKS,
    "where it is mounted",
    "mount.mnt",
    "mount.mnt.mnt_root",
    "mount.mnt_parent",
    "mount.mnt_mountpoint",
)
def _mount_point(view: View, reference: ReferenceProcess) -> Optional[bool]:
    # A path leads to the struct vfsmount inside a struct mount, mnt_parent to the whole: so both
    # the place of the one in the other and that of all other fields are found out.
    if not reference.mount_point:
        return None
    # "mnt_parent, mnt_mountpoint, mnt" (fs/mount.h): a directory that is mounted on itself, as in
    # containers, is both the mount's root and its mount point.
    if view["mount.mnt_mountpoint"] != view["mount.mnt_parent"] + 8:
        return False
    if not view["mount.mnt_mountpoint"] < view["mount.mnt"] <= view["mount.mnt.mnt_root"]:
        return False
    fs = view.follow(reference.thread.address, "task_struct.fs")
    mount = view.follow(fs, "fs_struct.pwd.mnt") - view["mount.mnt"]
    for _ in range(MAX_STEPS):
        below = view.follow(mount, "mount.mnt_parent")
        point = view.follow(mount, "mount.mnt_mountpoint")
        root = view.follow(below, "mount.mnt.mnt_root")
        if below == mount:
            return False
        # What is mounted over a mount is mounted on its root, which has no name of its own.
        if point != root:
            named = climb(view, point, (reference.mount_point,)) is not None
            return named and is_below(view, point, root) and ends(view, below, "mount.mnt_parent")
        mount = below
    return False


def climb(view: View, dentry: int, names: Sequence[bytes]) -> Optional[int]:
    """The dentry above the last of these names, which start at the top; None if one is another."""
    for name in reversed(names):
        if view.u32(dentry, "dentry.d_name.len") != len(name):
            return None
        if not view.memory.is_text(view.follow(dentry, "dentry.d_name.name"), name):
            return None
        above = view.follow(dentry, "dentry.d_parent")
        if above == dentry:
            return None
        dentry = above
    return dentry


def is_hashed(memory: Memory, dentry: int, at: int) -> bool:
    """Whether the word at `at` leads to the pointer to the list node that it ends.

    The lowest bit of the first pointer of a list is a lock (include/linux/list_bl.h).
    """
    return memory.u64(memory.pointer(dentry + at)) & ~1 == dentry + at - 8


def is_below(view: View, dentry: int, top: int) -> bool:
    """Whether a dentry is `top` or below it."""
    for _ in range(MAX_STEPS):
        if dentry == top:
            return True
        above = view.follow(dentry, "dentry.d_parent")
        if above == dentry:
            return False
        dentry = above
    return False


def ends(view: View, address: int, name: str) -> bool:
    """Whether a chain of pointers ends at a structure that points to itself."""
    for _ in range(MAX_STEPS):
        try:
            following = view.follow(address, name)
        except Unreadable:
            return False
        if following == address:
            return True
        address = following
    return False
