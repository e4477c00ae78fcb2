# SPDX-License-Identifier: Apache-2.0
"""A hook of a loaded policy: what its records do not say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Dict, FrozenSet, List, Mapping, Optional, Tuple

from tetrapy.named import NamedTuple

if TYPE_CHECKING:
    from tetrapy.policy.workloads import Workload
    from tetrapy.sensors.policy.requests import Request, Requests
    from tetrapy.sensors.policy.stacks import Stacks

KPROBE, UPROBE, TRACEPOINT, RAW_TRACEPOINT = "kprobe", "uprobe", "tracepoint", "raw_tracepoint"
FENTRY, LSM = "fentry", "lsm"
MULTI_KPROBE = "kprobe_multi"  # of programs alone
MAPPED = "mapped"  # loader: true
USDT = "usdt"


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
    return_actions: Tuple[str, ...] = ("KPROBE_ACTION_POST",)  # the same when it has returned
    returns: bool = False  # calls are reported when they return: two records make one event
    offset: Optional[int] = None  # of a uprobe that names no symbol
    namespace: str = ""  # of the policy
    reference_counter: int = 0  # of a uprobe: where in the file its counter is; 0: none
    stacks: bool = False  # records may have stacks behind their values
    hashes: bool = False  # ... or the hash of a file, in a record that follows
    # By selector: what others are asked at a match; empty where no selector has any.
    requests: Tuple[Tuple[Request, ...], ...] = ()
    # By selector what has to hold of the process, where the kernel side may not know it.
    workloads: Tuple[Tuple[Workload, ...], ...] = ()
    quiet: FrozenSet[int] = frozenset()  # selectors whose matches are not reported


MAX_LEAVING = 4096
"""Hooks that are out of the kernel and known for records that are still on their way."""


class Hooks:
    """The hooks that are in the kernel, by the number that their records carry.

    One that is taken out is known until the records that it made before are read.
    """

    def __init__(self) -> None:
        self._by_number: Dict[int, Hook] = {}
        self._leaving: List[int] = []  # since the last look
        self._left: List[int] = []  # longer
        self.is_drained: Callable[[], bool] = lambda: True  # no record waits to be read
        self._last = 0
        self.ancestors: FrozenSet[str] = frozenset()  # types of events that show them
        self.shows_addresses = False  # in stacks
        self._stacks: Optional[Stacks] = None
        self.allows_requests = False  # of others, by policies
        self._requests: Optional[Requests] = None
        self.removed: Callable[[int], None] = lambda number: None  # called for hooks that are gone

    def add(self, hook: Hook) -> int:
        """A number that no hook had before, below 1 << 31."""
        self._last += 1
        self._by_number[self._last] = hook
        return self._last

    @property
    def stacks(self) -> Stacks:
        """What names the entries of stacks; made when a policy asks for some."""
        if self._stacks is None:
            from tetrapy.sensors.policy.stacks import Stacks

            self._stacks = Stacks(with_addresses=self.shows_addresses)
        return self._stacks

    @property
    def requests(self) -> Requests:
        """Who asks others what policies say; made at the first use."""
        if self._requests is None:
            from tetrapy.sensors.policy.requests import Requests

            self._requests = Requests()
        return self._requests

    def request_counts(self) -> Mapping[Tuple[str, str], int]:
        """How many requests there were, by action and outcome; empty where there never were any."""
        return {} if self._requests is None else self._requests.counts()

    def get(self, number: int) -> Optional[Hook]:
        """None when there is no such hook any more."""
        return self._by_number.get(number)

    def remove(self, number: int) -> None:
        """A hook is out of the kernel."""
        self._leaving.append(number)
        if len(self._leaving) > MAX_LEAVING:
            self._forget(self._leaving.pop(0))

    def look(self) -> None:
        """Forget hooks that were out of the kernel at the last look, if all records are read."""
        if not (self._leaving or self._left) or not self.is_drained():
            return
        for number in self._left:
            self._forget(number)
        self._left, self._leaving = self._leaving, []

    def _forget(self, number: int) -> None:
        self.removed(number)
        self._by_number.pop(number, None)
