# SPDX-License-Identifier: Apache-2.0
"""The part of the allow and deny lists that the kernel can decide, as bit masks.

Each filter gets a bit. The kernel asks nothing about strings: user space tells it, per binary, pid
and container, the filters whose conditions on that hold, and the kernel ANDs these masks into `m`.
An exec and its exit are dropped when `m & deny_bits`, or when `allow_bits and not m & allow_bits`.

It must never drop what user space would export. So a deny filter has a bit only if all its
conditions are decided here and hold for the exec and the exit alike; of an allow filter, conditions
that cannot be decided here are taken to hold. Where the kernel does not know a parent, it takes
`unknown_parent`: there deny filters that ask for it fail, and allow filters hold.
"""

from __future__ import annotations

from typing import Callable, FrozenSet, List, Optional, Tuple

from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.filters.filter import Filter, FilterList, TextTest

BITS = 64

_BOTH = frozenset({ProcessExec.type, ProcessExit.type})


class Pushdown:
    """Masks of the filters that were given a bit; made by `of`."""

    def __init__(self, deny: List[Filter], allow: List[Filter]) -> None:
        filters = [*deny, *allow]
        self._filters = filters
        self.bits = (1 << len(filters)) - 1
        self.deny_bits = (1 << len(deny)) - 1
        self.allow_bits = self.bits & ~self.deny_bits  # 0: the allow list is not pushed
        self.pids: FrozenSet[int] = frozenset().union(*(one.pids or () for one in filters))
        self.no_parent_condition = self._where(lambda one: one.parent_binary is None)
        self.no_container_condition = self._where(lambda one: one.container is None)
        self.pid_default = self._where(lambda one: one.pids is None)
        """The mask of every pid that is not in `pids`."""
        self.unknown_parent = self.no_parent_condition | self.allow_bits

    @classmethod
    def of(cls, allow: Optional[FilterList], deny: Optional[FilterList]) -> Optional[Pushdown]:
        """What can be pushed of the lists; None for nothing."""
        denying = [one for one in _filters(deny) if _is_decided(one)][:BITS]
        allowing = [one for one in _filters(allow) if _may_hold(one)]
        if len(denying) + len(allowing) > BITS or any(map(_always_may_hold, allowing)):
            allowing = []
        return cls(denying, allowing) if denying or allowing else None

    def binary_masks(self, path: str) -> Tuple[int, int]:
        """Filters whose `binary_regex` holds for a process that runs this binary, or is not there;
        and those whose `parent_binary_regex` holds for a process whose parent runs it.
        """
        own = self._where(lambda one: _holds(one.binary, path))
        return own, self._where(lambda one: _holds(one.parent_binary, path))

    def pid_mask(self, pid: int) -> int:
        """Filters whose `pid` holds for this pid, or is not there."""
        if pid not in self.pids:
            return self.pid_default
        return self._where(lambda one: one.pids is None or pid in one.pids)

    def container_mask(self, docker: str) -> int:
        """Filters whose `container_id` holds for a process of this container ("" for none)."""
        return self._where(lambda one: _holds(one.container, docker))

    def drops(self, mask: int) -> bool:
        """The kernel's decision on a process; `mask` is all masks ANDed."""
        if mask & self.deny_bits:
            return True
        return bool(self.allow_bits) and not mask & self.allow_bits

    def _where(self, test: Callable[[Filter], bool]) -> int:
        return sum(1 << bit for bit, one in enumerate(self._filters) if test(one))


def _filters(listed: Optional[FilterList]) -> List[Filter]:
    return [] if listed is None else listed.filters


def _holds(test: Optional[TextTest], text: str) -> bool:
    return test is None or test(text)


def _is_decided(one: Filter) -> bool:
    """Whether a deny filter means the same for a process' exec and exit, and is decided here."""
    types_fit = one.types is None or one.types >= _BOTH
    return types_fit and not one.others and not one.never


def _may_hold(one: Filter) -> bool:
    """Whether an allow filter can hold for an exec or an exit."""
    return not one.never and (one.types is None or bool(_BOTH & one.types))


def _always_may_hold(one: Filter) -> bool:
    """Whether nothing that the kernel knows can tell that an allow filter does not hold."""
    asked = (one.binary, one.parent_binary, one.container, one.pids)
    return all(condition is None for condition in asked)
