# SPDX-License-Identifier: Apache-2.0
"""Finds css_set, cgroup, cgroup_subsys_state and kernfs_node (include/linux/cgroup-defs.h)."""

from __future__ import annotations

from typing import List, Optional, Tuple

from tetrapy.btf.inference.checks.cgroups import (
    CONTROLLERS,
    MAX_STEPS,
    controllers,
    enumerator,
    is_named,
    paths_v1,
)
from tetrapy.btf.inference.memory import Memory, Unreadable, is_pointer
from tetrapy.btf.inference.scan.finder import Finder, Undecided
from tetrapy.btf.inference.view import CGROUPS, RENAMED
from tetrapy.named import NamedTuple

# "signal ... cgroups": 376 to 700 bytes in the corpus, 2632 with lock debugging.
_SPAN_AFTER_SIGNAL = 4096
# dfl_cgrp is behind subsys[], "refcount, dom_cset".
_CSS_SET_SIZE = 320
# kn is behind self (200 to 250 bytes, more with lock debugging) and some numbers.
_CGROUP_SIZE = 1024
# name and parent are among the first members of a kernfs_node; behind one stands another one. id
# is at 96 or 104 in the corpus, at 144 with lock debugging.
_NODE_SIZE = 128
_NODE_ID = 160
# Names of controllers (include/linux/cgroup_subsys.h), of which a kernel with cgroups has some.
_KNOWN = (*CONTROLLERS, "cpu", "cpuset", "io", "devices", "freezer", "perf_event", "net_cls")


class _Node(NamedTuple):
    """Where a struct kernfs_node has the pointers to its name and its parent."""

    name: int
    parent: int


def find_cgroup(finder: Finder) -> None:
    """`cgroups`, and in the css_set `subsys`, the first member since Linux 4.11, and `dfl_cgrp`.

    A cgroup starts with `self`, a cgroup_subsys_state: "cgroup, ss", of which the first leads to
    the cgroup itself and the second is NULL.
    """
    memory, mine = finder.memory, finder.words[0]
    start = finder.task("signal") // 8 + 1
    found: List[Tuple[int, int]] = []
    for at in range(start, min(start + _SPAN_AFTER_SIGNAL // 8, len(mine))):
        if not is_pointer(mine[at]):
            continue
        words = memory.some_words(mine[at], _CSS_SET_SIZE // 8)
        cgroups = [place for place, word in enumerate(words) if _is_cgroup(memory, word)]
        if cgroups and _is_subsys(memory, mine[at]):
            found += [(8 * at, 8 * place) for place in cgroups]
    at, place = finder.only("css_set.dfl_cgrp", found)
    finder.found.update(
        {
            "task_struct.cgroups": at,
            "css_set.dfl_cgrp": place,
            "css_set.subsys": 0,
            "cgroup_subsys_state.cgroup": 0,
        }
    )


def find_controllers(finder: Finder) -> None:
    """The controllers' numbers: indices into subsys[]; a controller that is missing has none."""
    memory = finder.memory
    kinds = [kind for _, kind in _states(memory, _css_set(finder) + finder.place("css_set.subsys"))]
    for controller in CONTROLLERS:
        numbers = [
            number
            for number, kind in enumerate(kinds)
            if is_named(memory, kind, number, controller.encode())
        ]
        if numbers:
            finder.found[enumerator(controller)] = finder.only(enumerator(controller), numbers)


def find_node(finder: Finder) -> None:
    """`kn`, and in a kernfs_node `name` and `parent`: a chain of names that are known."""
    reference, memory = finder.reference, finder.memory
    paths = {"": reference.cgroup_names, **paths_v1(reference)}
    ways = [(_cgroup(finder, controller), names) for controller, names in paths.items()]
    longest = max(ways, key=lambda way: len(way[1]))
    cgroup, names = longest
    if not names:
        raise Undecided("cgroup.kn was not found, because the cgroup has no name")
    found: List[Tuple[int, _Node]] = []
    for at, word in enumerate(memory.some_words(cgroup, _CGROUP_SIZE // 8)):
        if is_pointer(word):
            found += [(8 * at, shape) for shape in _shapes(memory, word, names)]
    at, node = finder.only("cgroup.kn", found)
    # Renamed by 633488947ef6 ("kernfs: Use RCU to access kernfs_node::parent."), in 6.15; the
    # programs read the one as the other.
    finder.found.update(
        {"cgroup.kn": at, "kernfs_node.name": node.name, "kernfs_node.parent": node.parent}
    )


def find_id(finder: Finder) -> None:
    """`id` of a kernfs_node: the cgroup's own, and at the same place that of the one above."""
    memory = finder.memory
    if not finder.reference.cgroup_ids:
        raise Undecided("kernfs_node.id was not found, because the cgroup's directory was not")
    controller, ids = next(iter(finder.reference.cgroup_ids.items()))
    node = memory.pointer(_cgroup(finder, controller) + finder.place("cgroup.kn"))
    nodes = [node]
    if len(ids) > 1:
        nodes.append(memory.pointer(node + finder.place("kernfs_node.parent")))
    # Before Linux 5.5 the upper half is a generation, which the directory does not show.
    halves = [
        [word & 0xFFFFFFFF for word in memory.some_words(one, _NODE_ID // 8)] for one in nodes
    ]
    wanted = tuple(number & 0xFFFFFFFF for number in ids)
    places = [8 * at for at, found in enumerate(zip(*halves)) if found == wanted]
    finder.found["kernfs_node.id"] = finder.only("kernfs_node.id", places)


def _cgroup(finder: Finder, controller: str) -> int:
    """The cgroup of the unified hierarchy, or of a controller."""
    memory, css_set = finder.memory, _css_set(finder)
    if not controller:
        return memory.pointer(css_set + finder.place("css_set.dfl_cgrp"))
    place = finder.place("css_set.subsys") + 8 * finder.place(enumerator(controller))
    return memory.pointer(memory.pointer(css_set + place))


def _css_set(finder: Finder) -> int:
    return finder.memory.pointer(finder.reference.thread.address + finder.task("cgroups"))


def _is_cgroup(memory: Memory, address: int) -> bool:
    try:
        return is_pointer(address) and memory.words(address, 2) == [address, 0]
    except Unreadable:
        return False


def _states(memory: Memory, subsys: int) -> List[Tuple[int, int]]:
    return list(controllers(memory, subsys))


def _is_subsys(memory: Memory, address: int) -> bool:
    """Whether an array is css_set.subsys[]: a controller in it has the number of its place."""
    return any(
        is_named(memory, kind, number, name.encode())
        for number, (_, kind) in enumerate(_states(memory, address))
        for name in _KNOWN
    )


def _shapes(memory: Memory, node: int, names: Tuple[bytes, ...]) -> List[_Node]:
    """How kernfs nodes look, if one with the last of these names is at an address."""
    words = memory.some_words(node, _NODE_SIZE // 8)
    pointers = [8 * at for at, word in enumerate(words) if is_pointer(word)]
    return [
        _Node(name, parent)
        for name in pointers
        if memory.is_text(words[name // 8], names[-1])
        for parent in pointers
        if _is_path(memory, node, names, _Node(name, parent))
    ]


def _is_path(memory: Memory, node: int, names: Tuple[bytes, ...], shape: _Node) -> Optional[bool]:
    """Whether these names lead to a node, the last first, on to a root without name and parent."""
    rest = list(names)
    try:
        for _ in range(MAX_STEPS):
            text = memory.pointer(node + shape.name)
            above = memory.u64(node + shape.parent)
            if not above:
                return not rest and memory.is_text(text, b"")
            if not is_pointer(above) or (rest and not memory.is_text(text, rest.pop())):
                return False
            node = above
    except Unreadable:
        pass
    return False


STEPS = (find_cgroup, find_controllers, find_node, find_id)
# What these find, by its names in any kernel.
QUERIES = frozenset((*CGROUPS, "kernfs_node.name", *RENAMED[1], *RENAMED[2]))
