# SPDX-License-Identifier: Apache-2.0
"""Policies that are for some containers, or for the host: what the kernel side knows of cgroups.

It decides by the number of a cgroup (bpf/workloads.h). User space says which containers those are:
of all that are there when such a policy comes, and of others when the first program is executed in
one, or a runtime tells of it. What the kernel side cannot decide it hands over; that is decided
here, when the container is known.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import (
    TYPE_CHECKING,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

from tetrapy.abi.layout import unpacker
from tetrapy.containers.cgroup import ContainerRef, container_of_names, maker_of_names
from tetrapy.errors import PolicyUnsupportedError
from tetrapy.events import flags
from tetrapy.events.calls import CallEvent
from tetrapy.events.container import OUTSIDE, Membership
from tetrapy.events.event import Event
from tetrapy.events.process import Process
from tetrapy.kernel.cgroups import cgroups
from tetrapy.kernel.maps import BpfMap
from tetrapy.policy.workloads import Workload, select
from tetrapy.sensors.policy.hook import Hook, Hooks
from tetrapy.sensors.policy.slots import Slots
from tetrapy.sensors.policy.tables import HookWriter

if TYPE_CHECKING:
    from tetrapy.sensors.base_handler import BaseHandler

MOST = 64  # that differ, of all policies
_ROOM = 1024  # cgroups that may be remembered before it is looked which ones are gone

Maker = Union[int, str]
Changed = Sequence[Tuple[ContainerRef, Membership]]


def is_for(workloads: Iterable[Workload], process: Process) -> bool:
    """Whether all hold of the container in which a process executed.

    They do where its cgroup could not be read: nobody gets away by hiding in a deep one.
    """
    if process.flags & flags.ERROR_CGROUP_NAME:
        return True
    container = process.container
    return select(workloads, container.pod, outside=container is OUTSIDE)


class Undecided:
    """A call of which only its process's container tells for which selectors it is."""

    def __init__(self, event: Event, hook: Hook, selectors: int, hooks: Hooks) -> None:
        """`selectors`: bits of those that match if they are for the process."""
        self._hooks = hooks
        self._event = event
        self._hook = hook
        self._selectors = selectors

    def is_wanted(self) -> bool:
        """Whether one is, by what is known now; the event then tells what the first one does."""
        event, hook = self._event, self._hook
        process = event.process
        if process is None:
            return True
        for number, workloads in enumerate(hook.workloads):
            if self._selectors >> number & 1 and is_for(workloads, process):
                if isinstance(event, CallEvent):
                    event.action = hook.actions[number]
                    if event.return_action and number < len(hook.return_actions):
                        event.return_action = hook.return_actions[number]
                if hook.requests:
                    self._hooks.requests.ask(hook.requests[number])
                return number not in hook.quiet
        return False


class Claim:
    """What one policy asks, until it is given back."""

    def __init__(self, workloads: Workloads) -> None:
        self._workloads = workloads
        self.taken: List[Workload] = []

    def bit(self, workload: Workload) -> int:
        """The bit that cgroups have for which it holds. Raises PolicyUnsupportedError."""
        bit = self._workloads.take(workload)
        self.taken.append(workload)
        return bit


class Workloads:
    """Keeps the kernel side's map, while a policy asks for it."""

    def __init__(self, slots: Slots, writer: HookWriter) -> None:
        self._slots = slots
        self._entries = writer.workloads.entries
        self._entry = unpacker(writer.workload, ("marks", "only_itself"))
        self.procfs = "/proc"
        self.refused = ""  # why no policy can ask
        self._base: Optional[BaseHandler] = None
        self._bits: Dict[Workload, int] = {}
        self._users: Dict[Workload, int] = {}
        self._known_to_kernel: Set[Workload] = set()  # as far as the map says what holds of them
        self._fd = -1
        self._map: Optional[BpfMap] = None
        self._known: Dict[int, Optional[ContainerRef]] = {}  # by cgroup; None: no container
        self._cgroups: Dict[ContainerRef, List[int]] = {}
        self._makers: Dict[int, Maker] = {}  # by cgroup: who may have made it
        self._covering: Set[int] = set()  # cgroups of the host that say what holds of those below
        self._room = _ROOM

    def claim(self) -> Claim:
        """For a policy; to be given back by `release`."""
        return Claim(self)

    def take(self, workload: Workload) -> int:
        """The bit of a workload, for one more who asks. Raises PolicyUnsupportedError."""
        if self.refused:
            raise PolicyUnsupportedError(self.refused)
        if workload not in self._bits:
            used = set(self._bits.values())
            free = [1 << number for number in range(MOST) if 1 << number not in used]
            if not free:
                raise PolicyUnsupportedError(
                    f"more than {MOST} selectors of pods, containers and the host that differ, of"
                    " all policies"
                )
            self._bits[workload] = free[0]
        self._users[workload] = self._users.get(workload, 0) + 1
        return self._bits[workload]

    def release(self, claim: Claim) -> None:
        """The policy is gone, and what only it asked for with it."""
        for workload in claim.taken:
            self._users[workload] -= 1
            if not self._users[workload]:
                del self._users[workload], self._bits[workload]
                self._known_to_kernel.discard(workload)
        claim.taken = []
        if not self._bits:
            self.close()

    def connect(self, base: BaseHandler) -> None:
        """Who takes records from now on."""
        self._base = base
        base.workloads = self if self._bits else None

    def follow(self) -> None:
        """Have the map say what holds of all that was taken. Raises KernelError."""
        if self._known_to_kernel == set(self._bits):
            return
        if self._map is None:
            self._fd = self._slots.make_workloads()
            self._map = BpfMap(self._fd, 8, self._entry.size)
        if self._base is not None:
            self._base.workloads = self
        self._known_to_kernel = set(self._bits)
        if self._base is not None and self._base.is_seeded:
            self._note_all()

    def seeded(self) -> None:
        """The processes that are there are known, and containers can be asked for."""
        if self._map is not None:
            self._note_all()

    def _note_all(self) -> None:
        for number, ref in list(self._known.items()):
            self._report(number, ref)
        for number, names in self._there():
            self.learn(number, names)

    def _there(self) -> Iterator[Tuple[int, bytes]]:
        return cgroups(self.procfs, self._entries, maker_of_names)

    # --- what is known of cgroups -----------------------------------------------------------

    def learn(self, number: int, names: bytes) -> None:
        """A cgroup, by its number and the names in exec records."""
        if number in self._known or self._map is None:
            return
        if len(self._known) >= self._room:
            self._forget_gone()
        self._remember(number, names)

    def _remember(self, number: int, names: bytes) -> None:
        ref = container_of_names(names)
        self._known[number] = ref
        self._makers[number] = maker_of_names(names)
        if ref is not None:
            self._cgroups.setdefault(ref, []).append(number)
        self._report(number, ref)

    def settled(self, changed: Changed) -> None:
        """Something else is known of containers now."""
        for ref, membership in changed:
            for number in self._cgroups.get(ref, ()):
                self._put(number, membership)

    def _report(self, number: int, ref: Optional[ContainerRef]) -> None:
        if ref is None:
            self._put(number, OUTSIDE)
        elif self._base is not None:
            self._put(number, self._base.tracker.table.containers(ref))

    def _put(self, number: int, membership: Membership) -> None:
        """Of a container that is still asked for the map says nothing."""
        if self._map is None:
            return
        key = number.to_bytes(8, "little")
        if membership.waits:
            self._map.delete(key)
            return
        marks = 0
        for workload, bit in self._bits.items():
            if select((workload,), membership.pod, outside=membership is OUTSIDE):
                marks |= bit
        only_itself = membership is OUTSIDE and number not in self._covering
        self._map.put(key, self._entry.pack(marks, int(only_itself)))

    def _forget_gone(self) -> None:
        """Make room: for cgroups that are there, and where these are too many for most makers."""
        there: Set[int] = set()
        firsts: Dict[Maker, Tuple[int, bytes]] = {}
        for number, names in self._there():
            there.add(number)
            firsts.setdefault(maker_of_names(names), (number, names))
        # One that was not looked at, among too many, may be there.
        is_whole = 0 < len(there) < self._entries
        for number in [one for one in self._known if is_whole and one not in there]:
            self._forget(number)
        if len(self._known) >= self._entries - self._entries // 8:
            self._forget_of_most(self._entries // 4, firsts)
        self._room = min(max(_ROOM, 2 * len(self._known)), self._entries)

    def _forget_of_most(self, count: int, firsts: Dict[Maker, Tuple[int, bytes]]) -> None:
        """Forget the latest cgroups of whoever has most, a user or a container.

        What holds of the container, or of the user's manager, holds of them then: nobody gets away
        by making more than can be remembered.
        """
        ((maker, own),) = Counter(self._makers.values()).most_common(1)
        first, names = firsts.get(maker, (0, b"")) if maker else (0, b"")
        is_container = container_of_names(names) is not None
        if first and (is_container or isinstance(maker, int)):
            if not is_container:
                self._covering.add(first)
            if first in self._known:
                self._report(first, self._known[first])
            else:
                self._remember(first, names)
        numbers = [number for number, one in self._makers.items() if one == maker]
        for number in numbers[-min(count, own) :]:
            if number != first:
                self._forget(number)

    def _forget(self, number: int) -> None:
        ref = self._known.pop(number)
        del self._makers[number]
        self._covering.discard(number)
        if ref is not None:
            numbers = self._cgroups[ref]
            numbers.remove(number)
            if not numbers:
                del self._cgroups[ref]
        if self._map is not None:
            self._map.delete(number.to_bytes(8, "little"))

    def close(self) -> None:
        """Forget all. Safe to call twice."""
        if self._base is not None:
            self._base.workloads = None
        if self._fd >= 0:
            self._map = None
            os.close(self._fd)
            self._fd = -1
            self._slots.drop_map("workloads")
        self._known.clear()
        self._makers.clear()
        self._covering.clear()
        self._cgroups.clear()
        self._known_to_kernel.clear()
