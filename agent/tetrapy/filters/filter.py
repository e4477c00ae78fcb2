# SPDX-License-Identifier: Apache-2.0
"""Filters and lists of them, made elsewhere (`lists`): this much a start may import."""

from __future__ import annotations

from typing import Callable, FrozenSet, List, Optional, Tuple

from tetrapy.events.event import Event
from tetrapy.named import NamedTuple

Condition = Callable[[Event], bool]
TextTest = Callable[[str], bool]


class Filter(NamedTuple):
    """One object of a list."""

    matches: Condition
    # What the kernel may know too (tetrapy.filters.pushdown); None where there is no condition:
    types: Optional[FrozenSet[str]]
    binary: Optional[TextTest]
    parent_binary: Optional[TextTest]
    container: Optional[TextTest]
    pids: Optional[FrozenSet[int]]
    never: bool  # it asks for a policy or a health check, which exec and exit events do not have
    others: Tuple[str, ...]  # fields that only user space can decide


class FilterList(NamedTuple):
    """The objects of one list; `matches` tells whether one of them holds for an event."""

    filters: List[Filter]
    matches: Condition
