"""Facts about the file that an exec executes: linux_binprm, file, inode.

An inode has "i_ino, i_nlink, i_rdev, i_size" (include/linux/fs.h); what is no device has no i_rdev.
"""

from __future__ import annotations

from typing import List, Optional

from tetrapy.btf.inference.facts.fact import Fact, fact
from tetrapy.btf.inference.memory import Memory, is_pointer
from tetrapy.btf.inference.subject import Subject
from tetrapy.btf.inference.view import View

FACTS: List[Fact] = []

# PER_CLEAR_ON_SETID (include/linux/personality.h): READ_IMPLIES_EXEC, ADDR_NO_RANDOMIZE,
# ADDR_COMPAT_LAYOUT and MMAP_PAGE_ZERO. An exec that gives rights clears it
# (cap_bprm_creds_from_file() in security/commoncap.c).
PER_CLEAR_ON_SETID = 0x0400000 | 0x0040000 | 0x0200000 | 0x0100000

_INODE = ("inode.i_ino", "inode.i_mode", "inode.i_nlink")


@fact(FACTS, "executed file", "linux_binprm.file", "file.f_inode", *_INODE)
def _file(view: View, subject: Subject) -> Optional[bool]:
    if subject.exec_file is None:
        return None
    number, odd = divmod(view["linux_binprm.file"], 8)
    word, odd_too = divmod(view["file.f_inode"], 8)
    targets = subject.exec_targets
    if odd or odd_too or number >= len(targets) or word >= len(targets[number]):
        return False
    inode = targets[number][word]
    mode = view.memory.read(inode + view["inode.i_mode"], 2)
    return (
        view["inode.i_nlink"] == view["inode.i_ino"] + 8
        and is_file(view.memory, inode, view["inode.i_ino"], subject)
        and int.from_bytes(mode, "little") == subject.exec_file[1]
    )


@fact(FACTS, "what the exec clears", "linux_binprm.per_clear")
def _per_clear(view: View, subject: Subject) -> Optional[bool]:
    if not subject.exec_gained:
        return None
    place, odd = divmod(view["linux_binprm.per_clear"], 4)
    return not odd and per_clear_places(subject) == [place]


def is_file(memory: Memory, inode: int, at: int, subject: Subject) -> bool:
    """Whether an inode has number, links and size of the program from `at` on."""
    if subject.exec_file is None or not is_pointer(inode):
        return False
    number, _, links, size = subject.exec_file
    return memory.words(inode + at, 3) == [number, links, size]


def per_clear_places(subject: Subject) -> List[int]:
    """Which of the 32-bit numbers of struct linux_binprm are PER_CLEAR_ON_SETID."""
    halves = [half for word in subject.exec_words for half in (word & 0xFFFFFFFF, word >> 32)]
    return [place for place, half in enumerate(halves) if half == PER_CLEAR_ON_SETID]
