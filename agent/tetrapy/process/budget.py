# SPDX-License-Identifier: Apache-2.0
"""How many bytes images may take, all together: what gives way when they take more.

Counting each image's bytes in and out would cost every process; so only what is added is counted,
roughly, and all is weighed when that could have become too much. The time between two weighings
grows with what they find, so they cost little.

Who takes most gives way first: a user, or a container, whose processes are many or have long texts
costs others nothing that they take.
"""

from __future__ import annotations

from itertools import product
from typing import Dict, Iterable, List, Optional, Set, Tuple

from tetrapy.events.account import Account
from tetrapy.events.cut import REPEATED, characters, shorten
from tetrapy.events.process import Process

LIMIT = 24 << 20  # bytes, unless the settings say otherwise

# What an image takes beside its texts: the object, its ids and times, its place in the table.
FIXED = 800
_FILE = 150  # what is known of the file that was executed, beside its path

# Bytes of JSON that a text may keep, one after the other, until all is light enough. A path of 256
# bytes is left alone: filters go by it.
_STEPS = (REPEATED // 4, REPEATED // 16)


def weight(process: Process) -> int:
    """The bytes that an image takes."""
    total = FIXED + (process.arguments.__sizeof__() + process.binary.__sizeof__())
    total += process.cwd.__sizeof__()
    if process.executed is not None:
        total += _FILE + process.executed.path.__sizeof__()
    if process.json is not None:
        total += len(process.json)
    if process.caller_json is not None:
        total += len(process.caller_json)
    if process.wire is not None:
        total += len(process.wire)
    if process.environment:
        total += characters(process.environment) + 150 * len(process.environment)
    return total


def with_parents(live: Iterable[Process]) -> List[Process]:
    """Each image once: those in the table, and those that only others still refer to."""
    seen: Set[int] = set()
    found: List[Process] = []
    for process in live:
        one: Optional[Process] = process
        while one is not None and id(one) not in seen:
            seen.add(id(one))
            found.append(one)
            one = one.parent
    return found


def by_account(images: Iterable[Process]) -> List[List[Process]]:
    """Images of each account in their order, those of the account whose images take most first."""
    found: Dict[Account, List[Process]] = {}
    for process in images:
        found.setdefault(process.account, []).append(process)
    return sorted(found.values(), key=lambda own: -sum(map(weight, own)))


def leaving(images: List[Process]) -> List[Process]:
    """Which images are forgotten next, the first at the end: a part in 64 of all.

    Of the accounts whose images take most, each of them half of its own, those that came first.
    """
    found: List[Process] = []
    wanted = max(len(images) // 64, 1)
    for own in by_account(images):
        found += own[: min(max(len(own) // 2, 1), wanted - len(found))]
        if len(found) == wanted:
            break
    return found[::-1]


def lighten(images: List[Process], limit: int) -> Tuple[int, int]:
    """Let go of bytes when the images take more than `limit`, down to three quarters of it.

    First kept JSON goes, which is made anew, then texts are cut, those of the account that takes
    most and of its oldest image first.
    Returns what the images take then, and how many were cut.
    """
    total = sum(map(weight, images))
    if total <= limit:
        return total, 0
    aim = limit * 3 // 4
    accounts = by_account(images)
    for process in (process for own in accounts for process in own):
        if total > aim:
            for kept in (process.json, process.caller_json, process.wire):
                total -= len(kept or b"")
            process.forget_json()
    cut = 0
    for own, most in product(accounts, _STEPS):
        for process in own:
            if total <= aim:
                return total, cut
            before = weight(process)
            if before > FIXED + most and shorten(process, most):
                total -= before - weight(process)
                cut += 1
    return total, cut
