# SPDX-License-Identifier: Apache-2.0
"""Checks of the file that an exec executes: linux_binprm, file, inode, super_block.

An inode has "i_op, i_sb, i_mapping" and "i_ino, i_nlink, i_rdev, i_size" (include/linux/fs.h); what
is no device has no i_rdev.
"""

from __future__ import annotations

from typing import List, Optional

from tetrapy.btf.inference.checks.check import Check, check
from tetrapy.btf.inference.checks.paths import climb, ends
from tetrapy.btf.inference.checks.processes import filename_word
from tetrapy.btf.inference.memory import Memory, Unreadable, is_pointer
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.view import View

CHECKS: List[Check] = []

# PER_CLEAR_ON_SETID (include/linux/personality.h): READ_IMPLIES_EXEC, ADDR_NO_RANDOMIZE,
# ADDR_COMPAT_LAYOUT and MMAP_PAGE_ZERO. An exec that gives rights clears it
# (cap_bprm_creds_from_file() in security/commoncap.c).
PER_CLEAR_ON_SETID = 0x0400000 | 0x0040000 | 0x0200000 | 0x0100000

_INODE = ("inode.i_ino", "inode.i_mode", "inode.i_nlink")

# "s_list, s_dev" (include/linux/fs.h): a list has two pointers.
DEVICE_PLACE = 16
# Interpreters of the scripts that reference processes execute.
INTERPRETERS = b"/proc/self/"


@check(CHECKS, "executed file", "linux_binprm.file", "file.f_inode", *_INODE)
def _file(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.exec_file is None:
        return None
    inode = _member(view, reference, "file.f_inode")
    mode = view.memory.read(inode + view["inode.i_mode"], 2)
    return (
        view["inode.i_nlink"] == view["inode.i_ino"] + 8
        and is_file(view.memory, inode, view["inode.i_ino"], reference)
        and int.from_bytes(mode, "little") == reference.exec_file[1]
    )


@check(CHECKS, "place of the executed file", "file.f_path.dentry", "file.f_path.mnt")
def _place(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.exec_file is None:
        return None
    # struct path is "mnt, dentry" (include/linux/path.h).
    if view["file.f_path.mnt"] != view["file.f_path.dentry"] - 8:
        return False
    dentry = _member(view, reference, "file.f_path.dentry")
    mount = _member(view, reference, "file.f_path.mnt") - view["mount.mnt"]
    return is_named(view, dentry, reference.exec_name) and ends(view, mount, "mount.mnt_parent")


@check(CHECKS, "struct path of the executed file", "file.f_path", "path.dentry", "path.mnt")
def _struct_path(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.exec_file is None:
        return None
    # The same as above, as two structures.
    at = view["file.f_path"]
    dentry = _word(view, reference, at + view["path.dentry"])
    mount = _word(view, reference, at + view["path.mnt"]) - view["mount.mnt"]
    return is_named(view, dentry, reference.exec_name) and ends(view, mount, "mount.mnt_parent")


@check(CHECKS, "inode of the executed file's name", "dentry.d_inode")
def _named_inode(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.exec_file is None:
        return None
    dentry = _member(view, reference, "file.f_path.dentry")
    inode = _member(view, reference, "file.f_inode")
    return view.u64(dentry, "dentry.d_inode") == inode


@check(CHECKS, "device of the executed file", "inode.i_sb", "super_block.s_dev")
def _device(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.exec_file is None:
        return None
    inode = _member(view, reference, "file.f_inode")
    return view["super_block.s_dev"] == DEVICE_PLACE and is_on_device(
        view.memory, inode, view["inode.i_sb"], reference
    )


@check(CHECKS, "interpreter of a script's exec", "linux_binprm.interp")
def _interpreter(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if not reference.exec_strings:
        return None
    word = interpreter_word(reference)
    return None if word is None else view["linux_binprm.interp"] == 8 * word


@check(CHECKS, "what the exec clears", "linux_binprm.per_clear")
def _per_clear(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if not reference.exec_gained:
        return None
    place, odd = divmod(view["linux_binprm.per_clear"], 4)
    return not odd and per_clear_places(reference) == [place]


def is_file(memory: Memory, inode: int, at: int, reference: ReferenceProcess) -> bool:
    """Whether an inode has number, links and size of the program from `at` on."""
    if reference.exec_file is None or not is_pointer(inode):
        return False
    number, _, links, size = reference.exec_file
    return memory.words(inode + at, 3) == [number, links, size]


def per_clear_places(reference: ReferenceProcess) -> List[int]:
    """Which of the 32-bit numbers of struct linux_binprm are PER_CLEAR_ON_SETID."""
    halves = [half for word in reference.exec_words for half in (word & 0xFFFFFFFF, word >> 32)]
    return [place for place, half in enumerate(halves) if half == PER_CLEAR_ON_SETID]


def is_named(view: View, dentry: int, name: bytes) -> bool:
    """Whether a dentry has this name; that of a file in no directory is above itself."""
    if view.follow(dentry, "dentry.d_parent") != dentry:
        return climb(view, dentry, (name,)) is not None
    return view.u32(dentry, "dentry.d_name.len") == len(name) and view.memory.is_text(
        view.follow(dentry, "dentry.d_name.name"), name
    )


def is_on_device(memory: Memory, inode: int, at: int, reference: ReferenceProcess) -> bool:
    """Whether an inode has its super block at `at`: that of the program's device.

    The pointer behind it, to the pages, leads to what begins with a pointer to the inode.
    """
    block, pages = memory.words(inode + at, 2)
    if not is_pointer(block) or not is_pointer(pages) or memory.u64(pages) != inode:
        return False
    listed = memory.words(block, 2)
    return all(map(is_pointer, listed)) and (
        memory.u32(block + DEVICE_PLACE) == reference.exec_device
    )


def interpreter_word(reference: ReferenceProcess) -> Optional[int]:
    """The number of the word behind the path's: "filename, interp" (include/linux/binfmts.h).

    None where no script could be executed, for then both are one.
    """
    strings, words = reference.exec_strings, reference.exec_words
    path = filename_word(reference)
    if path is None or path + 1 >= len(strings) or words[path] == words[path + 1]:
        return None
    return path + 1 if strings[path + 1].startswith(INTERPRETERS) else None


def _member(view: View, reference: ReferenceProcess, name: str) -> int:
    """A word of the struct file that was executed; Unreadable if it was not seen."""
    return _word(view, reference, view[name])


def _word(view: View, reference: ReferenceProcess, at: int) -> int:
    number, odd = divmod(view["linux_binprm.file"], 8)
    word, odd_too = divmod(at, 8)
    targets = reference.exec_targets
    if odd or odd_too or not 0 <= number < len(targets) or not 0 <= word < len(targets[number]):
        raise Unreadable
    return targets[number][word]
