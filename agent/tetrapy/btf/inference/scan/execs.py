"""Finds what an exec leaves in linux_binprm: the file, its inode, and what it clears."""

from __future__ import annotations

from typing import Dict, List, Tuple

from tetrapy.btf.inference.facts.execs import is_file, per_clear_places
from tetrapy.btf.inference.memory import Unreadable
from tetrapy.btf.inference.scan.finder import Finder, Undecided, only

# i_ino is at 64 in the corpus; lock debugging does not move it.
_INODE_SIZE = 256


def find_file(finder: Finder) -> None:
    """`file`, `f_inode`, and in the inode `i_mode`, its first member, and `i_ino, i_nlink`."""
    subject = finder.subject
    if subject.exec_file is None:
        raise Undecided("linux_binprm.file was not found, because no exec was seen")
    known: Dict[int, List[int]] = {}
    found: List[Tuple[int, int, int]] = []
    for at, target in enumerate(subject.exec_targets):
        for word, inode in enumerate(target):
            if inode not in known:
                known[inode] = _places(finder, inode)
            found += [(8 * at, 8 * word, place) for place in known[inode]]
    at, word, place = only("linux_binprm.file", found)
    finder.found.update(
        {
            "linux_binprm.file": at,
            "file.f_inode": word,
            "inode.i_mode": 0,
            "inode.i_ino": place,
            "inode.i_nlink": place + 8,
        }
    )


def find_per_clear(finder: Finder) -> None:
    """`per_clear` of an exec that gave a right."""
    if not finder.subject.exec_gained:
        raise Undecided("linux_binprm.per_clear was not found, because no exec could give a right")
    finder.found["linux_binprm.per_clear"] = 4 * only(
        "linux_binprm.per_clear", per_clear_places(finder.subject)
    )


def _places(finder: Finder, inode: int) -> List[int]:
    """Where an inode has the program's number, if it is its inode."""
    memory, file = finder.memory, finder.subject.exec_file
    try:
        if file is None or memory.u32(inode) & 0xFFFF != file[1]:
            return []
        return [at for at in range(8, _INODE_SIZE, 8) if is_file(memory, inode, at, finder.subject)]
    except Unreadable:
        return []
