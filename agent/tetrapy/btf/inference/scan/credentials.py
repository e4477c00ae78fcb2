# SPDX-License-Identifier: Apache-2.0
"""Finds the rest of struct cred: securebits, capabilities, the user namespace."""

from __future__ import annotations

from typing import List, Tuple

from tetrapy.btf.inference.checks.credentials import (
    CAPABILITIES,
    OWNED,
    SETS_AT,
    SETS_BEHIND,
    USER_BEHIND,
)
from tetrapy.btf.inference.checks.namespaces import place_of
from tetrapy.btf.inference.scan.finder import Finder, Undecided


def find_securebits(finder: Finder) -> None:
    """`securebits`, right behind the ids."""
    bits = finder.reference.securebits
    place = finder.place("cred.fsgid.val") + 4
    if bits is None or finder.memory.u32(_cred(finder) + place) != bits:
        raise Undecided("cred.securebits was not found")
    finder.found["cred.securebits"] = place


def find_capabilities(finder: Finder) -> None:
    """The four sets, which are odd, with the bounding set before the last."""
    memory, cred, wanted = finder.memory, _cred(finder), finder.reference.capabilities
    if wanted is None:
        raise Undecided("cred.cap_permitted was not found, because no capabilities were changed")
    start = finder.place("cred.securebits") + 4
    at = finder.search(
        "cred.cap_inheritable",
        range(start, start + SETS_BEHIND, 4),
        lambda at: all(memory.u64(cred + at + step) == sets for step, sets in zip(SETS_AT, wanted)),
    )
    finder.found.update(
        {f"cred.cap_{name}": at + step for name, step in zip(CAPABILITIES, SETS_AT)}
    )


def find_user_namespace(finder: Finder) -> None:
    """`user_ns`, behind the capabilities, and in it its number."""
    cred, number = _cred(finder), finder.reference.namespaces.get("user")
    if number is None:
        raise Undecided("cred.user_ns was not found, because procfs does not show its number")
    start = -(-finder.place("cred.cap_ambient") // 8) * 8 + 8
    size = finder.place("cred.securebits") + USER_BEHIND + 8 - start
    found: List[Tuple[int, int]] = []
    for step, word in enumerate(finder.memory.some_words(cred + start, size // 8)):
        place = place_of(number, word, finder.memory)
        if place is not None:
            found.append((start + 8 * step, place))
    at, place = finder.only("cred.user_ns", found)
    finder.found.update({"cred.user_ns": at, "user_namespace.ns.inum": place})


def find_owner(finder: Finder) -> None:
    """Level, owner and group of a user namespace, behind the one above it and before its number."""
    memory, wanted = finder.memory, finder.reference.user_namespace
    if wanted is None:
        raise Undecided("user_namespace.owner was not found, because none could be made")
    place, end = finder.place("cred.user_ns"), finder.place("user_namespace.ns.inum")
    made = memory.pointer(memory.pointer(wanted.holder.address + finder.task("cred")) + place)
    above = memory.pointer(_cred(finder) + place)
    at = finder.search(
        "user_namespace.owner",
        range(8, end, 8),
        lambda at: (
            memory.u64(made + at - 8) == above
            and memory.u32(made + at) == memory.u32(above + at) + 1
            and memory.u32(made + at + 4) == wanted.owner
            and memory.u32(made + at + 8) == wanted.group
        ),
    )
    finder.found.update({name: at + 4 * step for step, name in enumerate(OWNED)})


def _cred(finder: Finder) -> int:
    return finder.memory.pointer(finder.reference.thread.address + finder.task("cred"))
