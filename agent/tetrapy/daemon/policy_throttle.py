# SPDX-License-Identifier: Apache-2.0
"""Policies that would keep the agent busy with all that a machine does: they tell of a part of it.

Each policy has a budget of the agent's processor time. Whose calls have used up more of it than is
left has no call reported for a while, all others have. Only where it is used up by many of whom
nobody stands out, the policy reports none until half of it has come back. Those that act on
processes go on acting.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Tuple

from tetrapy.daemon.policy_budget import Budget
from tetrapy.errors import KernelError
from tetrapy.events.text import rfc3339
from tetrapy.events.throttle import START, STOP, ProcessThrottle
from tetrapy.kernel import capabilities
from tetrapy.sensors.owners import bounded

if TYPE_CHECKING:
    from tetrapy.daemon.policies import Policies
    from tetrapy.daemon.policy_entry import Entry
    from tetrapy.sensors.owners import Owner as Named
    from tetrapy.sensors.policy.handler import CallHandler
    from tetrapy.sensors.policy.uses import Owner, Part, Uses
    from tetrapy.sensors.source import EventSource

_WINDOW = 40.0
"""Seconds: what comes back in this time a policy may use at once."""
_BUSY = 8  # a policy that has used a part in so many is: owners are added up ...
_IDLE = 16  # ... until all have used less than this part

_HINT = "give it selectors, or raise --policy-cpu-share"

Log = Callable[..., None]


class _Silence:
    """Somebody's calls are not reported."""

    def __init__(self, since: int, uids: str = "", cgroups: str = "") -> None:
        self.shown: Dict[str, Any] = {
            "uid": uids,
            "cgroup": cgroups,
            "since": rfc3339(since),
            "unreported": None,  # of all nobody counts
        }


class _Throttled:
    """A policy that has used something of its budget."""

    def __init__(self, most: float, number: int, uses: Uses) -> None:
        self.budget = Budget(most)
        self.number = number  # that the kernel side knows
        self.uses = uses
        self.whole: Optional[_Silence] = None
        self.owners: Dict[Owner, _Silence] = {}

    @property
    def is_silent(self) -> bool:
        """Whether something is not reported."""
        return self.whole is not None or bool(self.owners)


class PolicyThrottle:
    """What each policy may still use."""

    def __init__(
        self,
        share: int,
        policies: Policies,
        sensor: EventSource,
        log: Log,
    ) -> None:
        """`share` is what comes back of a policy's budget, as a percentage of a processor."""
        self._share = share / 100
        self._most = self._share * _WINDOW  # seconds of processor time
        self._sensor = sensor
        self._policies = policies
        self._log = log
        self._used: Dict[int, _Throttled] = {}  # by the policy's number; others have all
        self._knows = True  # whose calls they are: the kernel has not refused it
        self._counts: Dict[int, int] = {}  # records at the last look, by hook
        self._received = 0  # records of all kinds
        self._cpu = time.thread_time()
        self._clock = time.monotonic()
        self.begun: Dict[Tuple[str, str], int] = {}  # how often all, by name and namespace
        self._unreported: Dict[Tuple[str, str], Dict[Named, int]] = {}

    def unreported_calls(self) -> Dict[Tuple[str, ...], int]:
        """Calls that were not reported, by cgroup, name and namespace of the policy, uid."""
        return {
            (cgroup, *key, uid): count
            for key, owners in list(self._unreported.items())
            for (uid, cgroup), count in owners.items()
        }

    def tick(self, received: int, now: int) -> List[ProcessThrottle]:
        """Look at what policies have used since the last look; there were `received` records.

        Returns what is to be reported, at the time `now`, in ns since 1970.
        """
        clock, cpu = time.monotonic(), time.thread_time()
        came, used, passed = received - self._received, cpu - self._cpu, clock - self._clock
        self._received, self._cpu, self._clock = received, cpu, clock
        calls: Optional[CallHandler] = getattr(self._sensor, "calls", None)  # of eBPF only
        counts = calls.records() if calls is not None else {}
        if counts == self._counts and not self._used:
            return []
        before, self._counts = self._counts, counts
        # What found no room in the buffer cost the agent nothing, and was its owner's.
        each = used / came if came > 0 else 0.0
        uses = self._take()
        events = []
        changed = False
        for entry in list(self._policies.entries):
            loaded = entry.loaded
            one = self._used.get(entry.number)
            if one is not None and (loaded is None or loaded.number != one.number):
                self._forget(entry, one)
                one = None
            if loaded is None or loaded.uses is None:
                continue
            own = sum(counts.get(hook, 0) - before.get(hook, 0) for hook in loaded.numbers)
            if one is None:
                if not own:
                    continue
                one = _Throttled(self._most, loaded.number, loaded.uses)
                self._used[entry.number] = one
            one.budget.come_back(passed * self._share)
            one.budget.charge(each * own, uses.get(loaded.number, {}), more=self._sensor.more)
            changed |= one.is_silent
            events += self._update(entry, one, now)
            if not one.is_silent and one.budget.used < self._most / 1000:
                del self._used[entry.number]
        self._watch()
        if changed or events:
            self._policies.when_changed()
        return events

    def _take(self) -> Mapping[int, Mapping[Part, int]]:
        for one in self._used.values():
            try:
                return one.uses.take()
            except KernelError as err:
                self._refused(err)
        return {}

    def _watch(self) -> None:
        """Have the kernel add up who uses what while a policy is busy."""
        if not self._knows or not self._used:
            return
        uses = next(iter(self._used.values())).uses
        part = _IDLE if uses.watches else _BUSY
        busy = any(
            one.is_silent or one.budget.used > self._most / part for one in self._used.values()
        )
        if busy == uses.watches:
            return
        try:
            with capabilities.raised():
                uses.watch(busy)
        except KernelError as err:
            self._refused(err)

    def _refused(self, err: KernelError) -> None:
        if self._knows:
            text = "Policies that are busy are throttled for everybody: nobody knows whose calls"
            self._log("error", text, error=str(err))
        self._knows = False

    def _update(self, entry: Entry, one: _Throttled, now: int) -> List[ProcessThrottle]:
        events: List[ProcessThrottle] = []
        try:
            with capabilities.raised():
                again, silent = one.budget.come_again(), one.budget.standing_out()
                events += [self._resume(entry, one, owner, now) for owner in again]
                events += [
                    self._silence(entry, one, owner, now)
                    for owner in silent
                    if one.uses.silence(one.number, owner)
                ]
                self._count(entry, one)
                events += self._update_whole(entry, one, now)
        except KernelError as err:
            self._log("error", "A policy cannot be throttled", policy=entry.label, error=str(err))
        everybody = [one.whole] if one.whole is not None else []
        entry.silent = [silence.shown for silence in (*everybody, *one.owners.values())]
        return events

    def _silence(self, entry: Entry, one: _Throttled, owner: Owner, now: int) -> ProcessThrottle:
        one.budget.silent.add(owner)
        one.owners[owner] = _Silence(now, owner.uids, owner.cgroups)
        self._log(
            "warn",
            "A policy is throttled for one owner, whose calls keep the agent busy",
            policy=entry.label,
            uid=owner.uids,
            cgroup=owner.cgroups,
            hint=_HINT,
        )
        return ProcessThrottle(START, f"policy {entry.label}, {owner}", now)

    def _resume(self, entry: Entry, one: _Throttled, owner: Owner, now: int) -> ProcessThrottle:
        self._count(entry, one)
        one.uses.tell(one.number, owner)
        one.budget.silent.discard(owner)
        shown = one.owners.pop(owner).shown
        self._log(
            "info", "A policy is throttled for one owner no longer", policy=entry.label, **shown
        )
        return ProcessThrottle(STOP, f"policy {entry.label}, {owner}", now)

    def _count(self, entry: Entry, one: _Throttled) -> None:
        """See how many calls were not reported."""
        key = (entry.name, entry.namespace)
        for owner, silence in one.owners.items():
            unreported = one.uses.unreported(one.number, owner)
            new = unreported - (silence.shown["unreported"] or 0)
            silence.shown["unreported"] = unreported
            if new:
                whose = {(owner.uids, owner.cgroups): new}
                self._unreported[key] = bounded(self._unreported.get(key, {}), whose)

    def _update_whole(self, entry: Entry, one: _Throttled, now: int) -> List[ProcessThrottle]:
        assert entry.loaded is not None
        budget = one.budget
        if one.whole is None:
            if not budget.exhausted(known=self._knows):
                return []
        elif budget.left < self._most / 2:
            return []
        entry.loaded.silence(one.whole is None)
        fields = {"policy": entry.label}
        if one.whole is not None:
            one.whole = None
            self._log("info", "A policy is throttled no longer", **fields)
            return [ProcessThrottle(STOP, f"policy {entry.label}", now)]
        one.whole = _Silence(now)
        name = (entry.name, entry.namespace)
        self.begun[name] = self.begun.get(name, 0) + 1
        self._log(
            "warn",
            "A policy is throttled: the agent is busy with its calls, and tells of none of them"
            " for some seconds",
            **fields,
            hint=_HINT,
        )
        return [ProcessThrottle(START, f"policy {entry.label}", now)]

    def _forget(self, entry: Entry, one: _Throttled) -> None:
        """The policy was taken out, and may have been loaded again."""
        del self._used[entry.number]
        entry.silent = []
        for owner in one.owners:
            try:
                one.uses.tell(one.number, owner)
            except KernelError as err:
                self._refused(err)
