# SPDX-License-Identifier: Apache-2.0
"""Finds what an exec leaves in linux_binprm: the file, its inode, and what it clears."""

from __future__ import annotations

from typing import Dict, List, Tuple

from tetrapy.btf.inference.checks.execs import (
    DEVICE_PLACE,
    interpreter_word,
    is_file,
    is_on_device,
    per_clear_places,
)
from tetrapy.btf.inference.memory import Unreadable, is_pointer
from tetrapy.btf.inference.scan.finder import Finder, Undecided
from tetrapy.btf.inference.scan.paths import ends

# "d_name, d_inode" (include/linux/dcache.h); 8 bytes in all kernels that were looked at.
_INODE_BEHIND_NAME = 32
# i_ino is at 64 in the corpus; lock debugging does not move it.
_INODE_SIZE = 256


def find_file(finder: Finder) -> None:
    """`file`, `f_inode`, and in the inode `i_mode`, its first member, and `i_ino, i_nlink`."""
    reference = finder.reference
    if reference.exec_file is None:
        raise Undecided("linux_binprm.file was not found, because no exec was seen")
    known: Dict[int, List[int]] = {}
    found: List[Tuple[int, int, int]] = []
    for at, target in enumerate(reference.exec_targets):
        for word, inode in enumerate(target):
            if inode not in known:
                known[inode] = _places(finder, inode)
            found += [(8 * at, 8 * word, place) for place in known[inode]]
    at, word, place = finder.only("linux_binprm.file", found)
    finder.found.update(
        {
            "linux_binprm.file": at,
            "file.f_inode": word,
            "inode.i_mode": 0,
            "inode.i_ino": place,
            "inode.i_nlink": place + 8,
        }
    )


def find_place(finder: Finder) -> None:
    """`f_path` of the file: "mnt, dentry" (include/linux/path.h), the dentry with its name."""
    reference, memory = finder.reference, finder.memory
    name, text = finder.place("dentry.d_name.name"), reference.exec_name
    inside, parent = finder.place("mount.mnt"), finder.place("mount.mnt_parent")
    words = reference.exec_targets[finder.place("linux_binprm.file") // 8]

    def fits(at: int) -> bool:
        mnt, dentry = words[at - 1], words[at]
        return (
            is_pointer(mnt)
            and is_pointer(dentry)
            and memory.u32(dentry + name - 4) == len(text)
            and memory.is_text(memory.pointer(dentry + name), text)
            and ends(memory, mnt - inside, parent)
        )

    at = 8 * finder.search("file.f_path", range(1, len(words)), fits)
    finder.found.update(
        {
            "file.f_path.mnt": at - 8,
            "file.f_path.dentry": at,
            "file.f_path": at - 8,
            "path.mnt": 0,
            "path.dentry": 8,
        }
    )


def find_named_inode(finder: Finder) -> None:
    """`d_inode`, behind `d_name`, of the file's name."""
    words = finder.reference.exec_targets[finder.place("linux_binprm.file") // 8]
    inode = words[finder.place("file.f_inode") // 8]
    dentry = words[finder.place("file.f_path.dentry") // 8]
    start = finder.place("dentry.d_name.name") + 8
    found = finder.search(
        "dentry.d_inode",
        range(start, start + _INODE_BEHIND_NAME, 8),
        lambda at: finder.memory.u64(dentry + at) == inode,
    )
    finder.found["dentry.d_inode"] = found


def find_device(finder: Finder) -> None:
    """`i_sb` of the file's inode, before `i_ino`, and `s_dev` behind it."""
    reference, memory = finder.reference, finder.memory
    words = reference.exec_targets[finder.place("linux_binprm.file") // 8]
    inode = words[finder.place("file.f_inode") // 8]
    found = finder.search(
        "inode.i_sb",
        range(8, finder.place("inode.i_ino"), 8),
        lambda at: is_on_device(memory, inode, at, reference),
    )
    finder.found.update({"inode.i_sb": found, "super_block.s_dev": DEVICE_PLACE})


def find_interpreter(finder: Finder) -> None:
    """`interp` of struct linux_binprm."""
    word = interpreter_word(finder.reference)
    if word is None:
        raise Undecided("linux_binprm.interp was not found, because no script was executed")
    finder.found["linux_binprm.interp"] = 8 * word


def find_per_clear(finder: Finder) -> None:
    """`per_clear` of an exec that gave a right."""
    if not finder.reference.exec_gained:
        raise Undecided("linux_binprm.per_clear was not found, because no exec could give a right")
    finder.found["linux_binprm.per_clear"] = 4 * finder.only(
        "linux_binprm.per_clear", per_clear_places(finder.reference)
    )


def _places(finder: Finder, inode: int) -> List[int]:
    """Where an inode has the program's number, if it is its inode."""
    memory, file = finder.memory, finder.reference.exec_file
    try:
        if file is None or memory.u32(inode) & 0xFFFF != file[1]:
            return []
        return [
            at for at in range(8, _INODE_SIZE, 8) if is_file(memory, inode, at, finder.reference)
        ]
    except Unreadable:
        return []
