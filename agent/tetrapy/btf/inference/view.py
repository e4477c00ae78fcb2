# SPDX-License-Identifier: Apache-2.0
"""A layout as the checks read it: by short names, in bytes, through the memory of the kernel."""

from __future__ import annotations

from typing import Dict, Iterable, Optional, Sequence

from tetrapy.abi.core_queries import Answers
from tetrapy.btf.inference.memory import Memory

# Fields that were renamed: the programs read the first if there is one, else the second.  Which of
# the names a kernel has makes no difference to what they read.
RENAMED = (
    ("task_struct.start_boottime", "task_struct___v54.real_start_time"),
    ("kernfs_node.parent", "kernfs_node___rcu.__parent"),
    ("kernfs_node.id", "kernfs_node___v54.id.id"),
)

# What every kernel with cgroups has, and none that is built without CONFIG_CGROUPS.
CGROUPS = frozenset(
    (
        "task_struct.cgroups",
        "css_set.dfl_cgrp",
        "css_set.subsys",
        "cgroup.kn",
        "cgroup_subsys_state.cgroup",
    )
)


class Missing(Exception):
    """The layout's kernel has no such field."""


def key(query: str) -> str:
    """The short name of a query, by which checks refer to it.

    `task_struct.pid` of `offset struct task_struct.pid int`; `cgroup_subsys_id::pids_cgrp_id` of an
    enumerator; for all else the question stands in front: `type_size upid`.
    """
    question, *words = query.split()
    name = words[1] if words[0] in ("struct", "union", "enum") and len(words) > 1 else words[0]
    return name if question in ("offset", "enumval") else f"{question} {name}"


class View:
    """A layout, bound to memory.  Values of fields are offsets in bytes."""

    def __init__(self, queries: Sequence[str], layout: Answers, memory: Memory) -> None:
        self.memory = memory
        self._values: Dict[str, Optional[int]] = {}
        self._asked = frozenset(map(key, queries))
        for query, value in zip(queries, layout):
            if value is not None and query.startswith("offset "):
                # The programs read no bitfields: what is not at a byte is nowhere.
                self._values[key(query)] = None if value % 8 else value // 8
            elif value is not None:
                self._values[key(query)] = value

    def asks(self, names: Iterable[str]) -> bool:
        """Whether one of the short names is among the queries."""
        return not self._asked.isdisjoint(names)

    def has(self, name: str) -> bool:
        """Whether the layout's kernel has it."""
        return name in self._values

    def get(self, name: str) -> Optional[int]:
        """Offset in bytes, size or value; None if the layout's kernel has no such thing."""
        return self._values.get(name)

    def __getitem__(self, name: str) -> int:
        """Offset in bytes, size or value; Missing if the layout's kernel has no such thing."""
        value = self._values.get(name)
        if value is None:
            raise Missing(name)
        return value

    def either(self, names: Sequence[str]) -> int:
        """The offset of a field that was renamed, under one of its names.

        Missing if the layout has none of them or several, which no kernel has.
        """
        name, *others = [name for name in names if name in self._values] or names
        if others:
            raise Missing(", ".join(names))
        return self[name]

    def u32(self, address: int, name: str) -> int:
        """The 32-bit field of the structure at an address."""
        return self.memory.u32(address + self[name])

    def u64(self, address: int, name: str) -> int:
        """The 64-bit field of the structure at an address."""
        return self.memory.u64(address + self[name])

    def follow(self, address: int, *names: str) -> int:
        """The address at the end of a chain of pointers; Unreadable if one of them is none."""
        for name in names:
            address = self.memory.pointer(address + self[name])
        return address
