# SPDX-License-Identifier: Apache-2.0
"""A hook of a loaded policy: what its records do not say of themselves."""

from __future__ import annotations

from typing import Callable, Dict, FrozenSet, Optional, Tuple

from tetrapy.named import NamedTuple

KPROBE, UPROBE, TRACEPOINT, RAW_TRACEPOINT = "kprobe", "uprobe", "tracepoint", "raw_tracepoint"
LSM = "lsm"


class HookValue(NamedTuple):
    """One of the values that the kernel reads of a call, in the order of `struct hook_value`."""

    type: str  # of the policy's schema: int, string, file, ...
    label: str = ""
    role: str = "argument"  # argument, return, data; or hidden: only filters ask for it
    size: int = 0  # bytes of a number; 0 for others


class Hook(NamedTuple):
    """One place of the kernel or of a program that a policy watches."""

    kind: str
    policy: str
    target: Tuple[str, ...]  # function; path and symbol; subsystem and event
    values: Tuple[HookValue, ...] = ()
    message: str = ""
    tags: Tuple[str, ...] = ()
    actions: Tuple[str, ...] = ("KPROBE_ACTION_POST",)  # by selector; of a match
    return_action: str = "KPROBE_ACTION_POST"
    returns: bool = False  # calls are reported when they return: two records make one event
    offset: Optional[int] = None  # of a uprobe that names no symbol
    namespace: str = ""  # of the policy
    reference_counter: int = 0  # of a uprobe: where in the file its counter is; 0: none


class Hooks:
    """The hooks that are in the kernel, by the number that their records carry."""

    def __init__(self) -> None:
        self._by_number: Dict[int, Hook] = {}
        self._last = 0
        self.ancestors: FrozenSet[str] = frozenset()  # types of events that show them
        self.removed: Callable[[int], None] = lambda number: None  # told of hooks that are gone

    def add(self, hook: Hook) -> int:
        """A number that no hook had before, below 1 << 31."""
        self._last += 1
        self._by_number[self._last] = hook
        return self._last

    def get(self, number: int) -> Optional[Hook]:
        """None when there is no such hook any more."""
        return self._by_number.get(number)

    def remove(self, number: int) -> None:
        """Forget a hook; records of it that are still on their way make no event."""
        self._by_number.pop(number, None)
        self.removed(number)
