# SPDX-License-Identifier: Apache-2.0
"""Checks of cgroups: css_set, cgroup_subsys_state, cgroup, kernfs_node.

struct cgroup starts with `self`, a cgroup_subsys_state whose `cgroup` is the cgroup itself and
whose `ss`, the word behind it, is NULL; those of controllers have their cgroup_subsys there
(include/linux/cgroup-defs.h).
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from tetrapy.btf.inference.checks.check import Check, check
from tetrapy.btf.inference.memory import Memory, Unreadable, is_pointer
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.view import RENAMED, View

CHECKS: List[Check] = []

# More cgroups above each other than a reference process is in.
MAX_STEPS = 1024
# More controllers than any kernel has; words of struct cgroup_subsys in which its name is found.
MAX_CONTROLLERS = 32
SUBSYS_WORDS = 32

# Controllers whose numbers the programs ask for.
CONTROLLERS = ("memory", "pids")

_NODE = ("cgroup.kn", "kernfs_node.name", *RENAMED[1])
_CONTROLLER = ("css_set.subsys", "cgroup_subsys_state.cgroup")


@check(CHECKS, "cgroup", "task_struct.cgroups", "css_set.dfl_cgrp", "cgroup_subsys_state.cgroup")
def _cgroup(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if not reference.has_cgroups:
        return None if not view.has("task_struct.cgroups") else False
    css_set = view.follow(reference.thread.address, "task_struct.cgroups")
    cgroup = view.follow(css_set, "css_set.dfl_cgrp")
    state = cgroup + view["cgroup_subsys_state.cgroup"]
    return view.memory.u64(state) == cgroup and not view.memory.u64(state + 8)


@check(CHECKS, "names of the cgroup", "css_set.dfl_cgrp", *_NODE)
def _names(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if not reference.has_cgroups:
        return None
    css_set = view.follow(reference.thread.address, "task_struct.cgroups")
    cgroup = view.follow(css_set, "css_set.dfl_cgrp")
    return is_path(view, view.follow(cgroup, "cgroup.kn"), reference.cgroup_names)


@check(CHECKS, "names of the cgroups of version 1", *_CONTROLLER, *_NODE)
def _names_v1(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if not reference.has_cgroups:
        return None
    css_set = view.follow(reference.thread.address, "task_struct.cgroups")
    results: List[Optional[bool]] = [None]
    for controller, names in paths_v1(reference).items():
        place = css_set + view["css_set.subsys"] + 8 * view[enumerator(controller)]
        cgroup = view.follow(view.memory.pointer(place), "cgroup_subsys_state.cgroup")
        results.append(is_path(view, view.follow(cgroup, "cgroup.kn"), names))
    return None if not any(results) and False not in results else False not in results


@check(CHECKS, "ids of the cgroups", *RENAMED[2])
def _ids(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if not reference.has_cgroups:
        return None
    css_set = view.follow(reference.thread.address, "task_struct.cgroups")
    for controller, ids in reference.cgroup_ids.items():
        place = css_set + view["css_set.dfl_cgrp"]
        if controller:
            place = css_set + view["css_set.subsys"] + 8 * view[enumerator(controller)]
            place = view.memory.pointer(place) + view["cgroup_subsys_state.cgroup"]
        at = view.memory.pointer(place) + view["cgroup.kn"]
        for number in ids:
            node = view.memory.pointer(at)
            # Before Linux 5.5 the upper half is a generation, which the directory does not show.
            if view.memory.u32(node + view.either(RENAMED[2])) != number & 0xFFFFFFFF:
                return False
            at = node + view.either(RENAMED[1])
    # One alone may be as small as 1, the root's, and stand in many places.
    return True if any(len(ids) > 1 for ids in reference.cgroup_ids.values()) else None


@check(CHECKS, "memory controller", "cgroup_subsys_id::memory_cgrp_id", *_CONTROLLER)
def _memory(view: View, reference: ReferenceProcess) -> Optional[bool]:
    return _is_controller(view, reference, "memory")


@check(CHECKS, "pids controller", "cgroup_subsys_id::pids_cgrp_id", *_CONTROLLER)
def _pids(view: View, reference: ReferenceProcess) -> Optional[bool]:
    return _is_controller(view, reference, "pids")


def paths_v1(reference: ReferenceProcess) -> Dict[str, Tuple[bytes, ...]]:
    """The paths in hierarchies of version 1 of the controllers that the programs ask for."""
    known = reference.cgroup_v1
    return {name: tuple(known[name]) for name in CONTROLLERS if name in known}


def enumerator(controller: str) -> str:
    """The short name of the query for a controller's number."""
    return f"cgroup_subsys_id::{controller}_cgrp_id"


def is_path(view: View, node: int, names: Sequence[bytes]) -> Optional[bool]:
    """Whether a kernfs_node has this name, the one above it that before, and so on to the root.

    The names may lack the front of the path; None if there are none.
    """
    for name in reversed(names):
        if not view.memory.is_text(view.follow(node, "kernfs_node.name"), name):
            return False
        node = view.memory.pointer(node + view.either(RENAMED[1]))
    # The root's name is empty, and nothing is above it (fs/kernfs/dir.c: kernfs_create_root).
    for _ in range(MAX_STEPS):
        above = view.memory.u64(node + view.either(RENAMED[1]))
        text = view.follow(node, "kernfs_node.name")
        if view.memory.is_text(text, b"") != (not above):
            return False
        if not above:
            return True if names else None
        node = above
    return False


def controllers(memory: Memory, subsys: int, field: int = 0) -> Iterator[Tuple[int, int]]:
    """The cgroup_subsys_state and cgroup_subsys of css_set.subsys[] at `subsys`, in order.

    `field` is the offset of cgroup_subsys_state.cgroup.  The array ends at what is no pointer to a
    state of a controller; behind it a reference count follows.
    """
    for number in range(MAX_CONTROLLERS):
        try:
            state = memory.pointer(subsys + 8 * number)
            cgroup = memory.pointer(state + field)
            kind = memory.pointer(state + field + 8)
            if memory.u64(cgroup + field) != cgroup:
                return
        except Unreadable:
            return
        yield state, kind


def is_named(memory: Memory, kind: int, number: int, name: bytes) -> bool:
    """Whether a struct cgroup_subsys has this name; its number stands before it ("id, name")."""
    words = memory.some_words(kind, SUBSYS_WORDS)
    return any(
        before >> 32 == number and is_pointer(word) and memory.is_text(word, name)
        for before, word in zip(words, words[1:])
    )


def _is_controller(view: View, reference: ReferenceProcess, controller: str) -> Optional[bool]:
    if not reference.has_cgroups:
        return None
    css_set = view.follow(reference.thread.address, "task_struct.cgroups")
    subsys, field = css_set + view["css_set.subsys"], view["cgroup_subsys_state.cgroup"]
    kinds = [kind for _, kind in controllers(view.memory, subsys, field)]
    wanted = view.get(enumerator(controller))
    named = [
        number
        for number, kind in enumerate(kinds)
        if is_named(view.memory, kind, number, controller.encode())
    ]
    return bool(kinds) and named == ([] if wanted is None else [wanted])
