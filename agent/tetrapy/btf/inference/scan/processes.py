# SPDX-License-Identifier: Apache-2.0
"""Finds credentials, memory, and what an exec and an exit leave in kernel structures."""

from __future__ import annotations

from typing import List, Tuple

from tetrapy.btf.inference.checks.credentials import IDS
from tetrapy.btf.inference.checks.processes import (
    FLAGS_BEHIND,
    SIGNAL_GROUP_EXIT,
    SIGNAL_UNKILLABLE,
    filename_word,
)
from tetrapy.btf.inference.memory import is_pointer
from tetrapy.btf.inference.scan.finder import Finder, Undecided

# The ids are the first in struct cred but a reference count, some debugging fields and a lock.
_CRED_SIZE = 64
# "pids ... cred" are 300 to 500 bytes.
_SPAN_BEFORE_CRED = 2048
# arg_start is at 288 to 808 in the corpus; CONFIG_NUMA and lock debugging move it.
_MM_SIZE = 2048
# group_exit_code is at 88 to 136 in the corpus; lock debugging of the lists before it moves it.
_SIGNAL_SIZE = 512


def find_mm(finder: Finder) -> None:
    """`mm, active_mm`, the last pair of equal pointers before the pids.

    In it `arg_start, arg_end, env_start, env_end`. The dead leader has no mm.
    """
    reference, memory = finder.reference, finder.memory
    mine, leaders, parents = finder.words
    wanted = [reference.arg_start, reference.arg_end, reference.env_start, reference.env_end]
    found: List[Tuple[int, int]] = []
    for at in range(1, finder.task("pid") // 8 - 1):
        before, mm, after = mine[at - 1 : at + 2]
        if before == mm or mm != after or not is_pointer(mm):
            continue
        if leaders[at] or parents[at] == mm or not is_pointer(parents[at]):
            continue
        words = memory.some_words(mm, _MM_SIZE // 8)
        found += [
            (8 * at, 8 * place)
            for place, word in enumerate(words)
            if word == reference.arg_start and words[place : place + 4] == wanted
        ]
    at, place = finder.first("mm_struct.arg_start", found)
    finder.found.update(
        {
            "task_struct.mm": at,
            "mm_struct.arg_start": place,
            "mm_struct.arg_end": place + 8,
            "mm_struct.env_start": place + 16,
            "mm_struct.env_end": place + 24,
        }
    )


def find_cred(finder: Finder) -> None:
    """`real_cred, cred`: two equal pointers to a structure with the eight ids in order."""
    memory, ids = finder.memory, tuple(finder.reference.ids or ())
    if not ids:
        raise Undecided("task_struct.cred was not found, because the ids could not be changed")
    mine = finder.words[0]
    start = finder.task("thread_pid") // 8 + 1
    found: List[Tuple[int, int]] = []
    for at in range(start, min(start + _SPAN_BEFORE_CRED // 8, len(mine) - 1)):
        before, cred, after = mine[at - 1 : at + 2]
        if before != cred or cred == after or not is_pointer(cred):
            continue
        words = memory.some_words(cred, _CRED_SIZE // 8)
        numbers = [half for word in words for half in (word & 0xFFFFFFFF, word >> 32)]
        found += [
            (8 * at, 4 * place)
            for place in range(len(numbers) - len(ids) + 1)
            if tuple(numbers[place : place + len(ids)]) == ids
        ]
    at, place = finder.first("cred.euid", found)
    finder.found["task_struct.cred"] = at
    finder.found.update({f"cred.{name}.val": place + 4 * at for at, name in enumerate(IDS)})


def find_filename(finder: Finder) -> None:
    """`filename` of struct linux_binprm."""
    word = filename_word(finder.reference)
    if word is None:
        raise Undecided("linux_binprm.filename was not found")
    finder.found["linux_binprm.filename"] = 8 * word


def signal_numbers(finder: Finder) -> List[int]:
    """The first 32-bit numbers of the signal_struct, read through the leader."""
    at = finder.reference.leader.address + finder.task("signal")
    words = finder.memory.some_words(finder.memory.pointer(at), _SIGNAL_SIZE // 8)
    return [half for word in words for half in (word & 0xFFFFFFFF, word >> 32)]


def find_exit(finder: Finder, before: List[int]) -> None:
    """`group_exit_code` and, closely behind it, `flags`: what the end of the group changes.

    `before` is what `signal_numbers` said as long as the reference process lived.
    """
    after = signal_numbers(finder)
    if len(after) != len(before):
        raise Undecided("signal_struct.group_exit_code was not found: the structure is gone")
    if after[finder.place("signal_struct.live.counter") // 4]:
        raise Undecided("signal_struct.live was not found: it is not 0 after the exit")
    pairs = list(zip(before, after))
    wanted = (0, finder.reference.group_exit_code)
    place = finder.only(
        "signal_struct.group_exit_code",
        [at for at, pair in enumerate(pairs) if pair == wanted],
    )
    flags = finder.only(
        "signal_struct.flags",
        [
            at
            for at in range(place + 1, min(place + 1 + FLAGS_BEHIND // 4, len(pairs)))
            if pairs[at][0] in (0, SIGNAL_UNKILLABLE) and pairs[at][1] == SIGNAL_GROUP_EXIT
        ],
    )
    finder.found["signal_struct.group_exit_code"] = 4 * place
    finder.found["signal_struct.flags"] = 4 * flags
