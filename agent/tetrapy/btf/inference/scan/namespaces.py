# SPDX-License-Identifier: Apache-2.0
"""Finds nsproxy and the namespaces behind it, and the pid namespace of a struct pid."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

from tetrapy.btf.inference.checks.namespaces import KINDS, TIMES, Kind, place_of
from tetrapy.btf.inference.memory import is_pointer
from tetrapy.btf.inference.scan.finder import Finder, Undecided

# "fs, files, io_uring, nsproxy, signal" are 16 to 40 bytes.
_SPAN_AFTER_FS = 128
# The reference count before the pointers takes 8 bytes.
_FIRST = (8, 16, 24)
# Kinds by which a structure is known as an nsproxy: each has a number of its own.
_ENOUGH = 2
# "nr, ns"; before Linux 4.15 a list node followed.
_UPID_NS = 8


def find_nsproxy(finder: Finder) -> None:
    """`nsproxy`, shortly before `signal`; the dead leader has none.

    Its pointers stand in the known order. Those of kinds that the kernel is built without, which
    procfs does not show, are left out; there is room for them, but for time namespaces in Linux
    before 5.6.
    """
    known = finder.reference.namespaces
    kinds = [kind for kind in KINDS if kind.name in known]
    if len(kinds) < _ENOUGH:
        raise Undecided("nsproxy was not found, because procfs shows few namespaces")
    mine, leaders, _parents = finder.words
    start, end = finder.task("fs") // 8 + 1, finder.task("signal") // 8
    found: List[Tuple[int, Dict[str, int]]] = []
    for at in range(max(start, end - _SPAN_AFTER_FS // 8), end):
        if is_pointer(mine[at]) and not leaders[at]:
            found += [(8 * at, shape) for shape in _shapes(finder, mine[at], kinds)]
    at, shape = finder.only("task_struct.nsproxy", found)
    finder.found["task_struct.nsproxy"] = at
    finder.found.update(shape)


def find_pid_namespace(finder: Finder) -> None:
    """`ns` of struct upid: it leads to the pid namespace of the task."""
    memory, number = finder.memory, finder.reference.namespaces.get("pid")
    pid = memory.pointer(finder.reference.thread.address + finder.task("thread_pid"))
    inner = memory.u32(pid + finder.place("pid.level")) * finder.place("type_size upid")
    namespace = memory.u64(pid + finder.place("pid.numbers") + inner + _UPID_NS)
    place = None if number is None else place_of(number, namespace, memory)
    if place is None or place != finder.place("pid_namespace.ns.inum"):
        raise Undecided("upid.ns was not found")
    finder.found["upid.ns"] = _UPID_NS


def _shapes(finder: Finder, nsproxy: int, kinds: Sequence[Kind]) -> List[Dict[str, int]]:
    """How a structure is an nsproxy: places of the pointers in it, and of numbers behind them."""
    # Without known time namespaces there may be room for their pointers or not.
    gaps = (8 * len(TIMES),) if set(TIMES) & set(kinds) else (0, 8 * len(TIMES))
    found: List[Dict[str, int]] = []
    for start in _FIRST:
        for gap in gaps:
            shape = _shape(finder, nsproxy, kinds, start, gap)
            if shape and shape not in found:  # without cgroups nothing stands behind the gap
                found.append(shape)
    return found


def _shape(
    finder: Finder, nsproxy: int, kinds: Sequence[Kind], start: int, gap: int
) -> Optional[Dict[str, int]]:
    shape: Dict[str, int] = {}
    for kind in kinds:
        at = start + 8 * KINDS.index(kind)
        if kind.name == "cgroup":
            at += gap - 8 * len(TIMES)
        number = finder.reference.namespaces[kind.name]
        place = place_of(number, finder.memory.u64(nsproxy + at), finder.memory)
        if place is None or shape.setdefault(kind.number, place) != place:
            return None
        shape[kind.pointer] = at
    return shape
