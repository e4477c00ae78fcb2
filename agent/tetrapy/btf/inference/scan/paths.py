# SPDX-License-Identifier: Apache-2.0
"""Finds fs_struct, path, dentry and mount by the names of directories that are known.

struct path is "mnt, dentry" (include/linux/path.h), struct fs_struct ends with "root, pwd"
(include/linux/fs_struct.h), struct qstr is "hash, len, name" (include/linux/dcache.h), and struct
mount has "mnt_parent, mnt_mountpoint, mnt" (fs/mount.h).
"""

from __future__ import annotations

from typing import List, Optional, Tuple

from tetrapy.btf.inference.checks.paths import MAX_STEPS, is_hashed
from tetrapy.btf.inference.memory import Memory, Unreadable, is_pointer
from tetrapy.btf.inference.scan.finder import Finder, Undecided
from tetrapy.named import NamedTuple

# Locks before the paths take 12 bytes, 104 with lock debugging.
_FS_SIZE = 256
# d_parent and d_name are among the first 48 bytes, 64 with real-time spinlocks.
_DENTRY_SIZE = 192
_SPAN_AFTER_CRED = 512
# mnt_parent is 16 bytes before the vfsmount, which is 32 bytes from the mount's start.
_MOUNT_SIZE = 128


class _Dentry(NamedTuple):
    """Where a struct dentry has the pointer to its name, and that to its parent."""

    name: int
    parent: int


class _Mount(NamedTuple):
    """Where a struct mount has its root, its mount point and the mount below."""

    root: int
    point: int
    parent: int


def find_paths(finder: Finder) -> None:
    """`fs` and all behind it. Since Linux 7.1 `real_fs` stands before `fs`, with the same value."""
    reference, memory = finder.reference, finder.memory
    if not reference.cwd_names:
        raise Undecided("fs_struct was not found, because no working directory could be made")
    mine, _leaders, parents = finder.words
    start = finder.task("cred") // 8 + 1
    found: List[Tuple[int, int, _Dentry]] = []
    for at in range(start, min(start + _SPAN_AFTER_CRED // 8, len(mine) - 1)):
        fs = mine[at]
        if not is_pointer(fs) or fs == parents[at] or fs == mine[at + 1]:
            continue
        words = memory.some_words(fs, _FS_SIZE // 8)
        for place in range(3, len(words)):
            root, pwd = words[place - 2], words[place]
            # "root, pwd" are on one mount.
            if not is_pointer(pwd) or root == pwd or words[place - 3] != words[place - 1]:
                continue
            shape = _shape(memory, pwd, root, reference.cwd_names)
            if shape:
                found.append((8 * at, 8 * place, shape))
    at, place, dentry = finder.first("task_struct.fs", found)
    finder.found.update(
        {
            "task_struct.fs": at,
            "fs_struct.pwd.dentry": place,
            "fs_struct.pwd.mnt": place - 8,
            "fs_struct.root.dentry": place - 16,
            "fs_struct.root.mnt": place - 24,
            "dentry.d_name.len": dentry.name - 4,
            "dentry.d_name.name": dentry.name,
            "dentry.d_parent": dentry.parent,
        }
    )


def find_hash(finder: Finder) -> None:
    """`d_hash` of struct dentry, "d_hash, d_parent" (include/linux/dcache.h)."""
    memory, at = finder.memory, finder.place("dentry.d_parent") - 8
    fs = memory.pointer(finder.reference.thread.address + finder.task("fs"))
    dentry = memory.pointer(fs + finder.place("fs_struct.pwd.dentry"))
    if not is_hashed(memory, dentry, at):
        raise Undecided("dentry.d_hash was not found")
    finder.found["dentry.d_hash.pprev"] = at


def find_mount(finder: Finder) -> None:
    """`mount`, starting from the vfsmount in it, to which the path of the root directory leads.

    The vfsmount's place in the mount shows in the mount below: mnt_parent leads to its start, and
    its mnt_root is a directory above the mount point.
    """
    reference, memory = finder.reference, finder.memory
    fs = memory.pointer(reference.thread.address + finder.task("fs"))
    mnt = memory.pointer(fs + finder.place("fs_struct.root.mnt"))
    shape = _Dentry(finder.place("dentry.d_name.name"), finder.place("dentry.d_parent"))
    root = memory.pointer(fs + finder.place("fs_struct.root.dentry"))
    top = _climb(memory, root, reference.root_names, shape)
    if top is None or not reference.mount_point:
        raise Undecided("mount.mnt_root was not found: the root directory has other names")
    inside = 8 * finder.only(
        "mount.mnt_root",
        [at for at, word in enumerate(memory.some_words(mnt, 8)) if word == top],
    )
    # Where the mount point is, from the vfsmount backwards, and the vfsmount in its mount.
    found: List[Tuple[int, int]] = []
    for back in range(8, _MOUNT_SIZE, 8):
        pair = memory.some_words(mnt - back - 8, 2)
        if len(pair) < 2 or not all(map(is_pointer, pair)):
            continue
        for place in range(back + 8, _MOUNT_SIZE, 8):
            mount = _Mount(place + inside, place - back, place - back - 8)
            if _is_mounted(memory, pair, reference.mount_point, mount, shape):
                found.append((back, place))
    back, place = finder.only("mount.mnt_parent", found)
    finder.found.update(
        {
            "mount.mnt": place,
            "mount.mnt.mnt_root": place + inside,
            "mount.mnt_mountpoint": place - back,
            "mount.mnt_parent": place - back - 8,
        }
    )


def _shape(memory: Memory, leaf: int, top: int, names: Tuple[bytes, ...]) -> Optional[_Dentry]:
    """How dentries look, if these names lead from the one at `top` to that at `leaf`."""
    words = memory.some_words(leaf, _DENTRY_SIZE // 8)
    length = len(names[-1])
    places = [
        8 * at
        for at in range(1, len(words))
        if words[at - 1] >> 32 == length
        and is_pointer(words[at])
        and memory.is_text(words[at], names[-1])
    ]
    shapes = [
        _Dentry(name, 8 * at)
        for name in places
        for at, word in enumerate(words)
        if is_pointer(word) and _climb(memory, leaf, names, _Dentry(name, 8 * at)) == top
    ]
    return shapes[0] if len(shapes) == 1 else None


def _climb(memory: Memory, dentry: int, names: Tuple[bytes, ...], shape: _Dentry) -> Optional[int]:
    """The dentry above the last of these names; None if one of them is another."""
    try:
        for name in reversed(names):
            if memory.u32(dentry + shape.name - 4) != len(name):
                return None
            if not memory.is_text(memory.pointer(dentry + shape.name), name):
                return None
            dentry = memory.pointer(dentry + shape.parent)
    except Unreadable:
        return None
    return dentry


def _above(memory: Memory, dentry: int, shape: _Dentry) -> List[int]:
    """A dentry and those above it, up to the one that is above itself."""
    found = [dentry]
    try:
        for _ in range(MAX_STEPS):
            found.append(memory.pointer(found[-1] + shape.parent))
            if found[-1] == found[-2]:
                break
    except Unreadable:
        pass
    return found


def _is_mounted(
    memory: Memory, place: List[int], name: bytes, mount: _Mount, shape: _Dentry
) -> bool:
    """Whether a mount is on the mount and the dentry at `place`, which has this name.

    What is mounted over a mount is on its root, which has no name of its own; then that mount's
    place has it.  The chain of mounts ends at the one that is its own parent.
    """
    below, point = place
    try:
        for _ in range(MAX_STEPS):
            root = memory.u64(below + mount.root)
            if root != point:
                named = _climb(memory, point, (name,), shape) is not None
                return (
                    named
                    and root in _above(memory, point, shape)
                    and ends(memory, below, mount.parent)
                )
            above, below = below, memory.pointer(below + mount.parent)
            point = memory.pointer(above + mount.point)
            if above == below:
                break
    except Unreadable:
        pass
    return False


def ends(memory: Memory, mount: int, parent: int) -> bool:
    """Whether the parents of a mount lead to the one that is its own parent."""
    try:
        for _ in range(MAX_STEPS):
            below = memory.pointer(mount + parent)
            if below == mount:
                return True
            mount = below
    except Unreadable:
        pass
    return False
