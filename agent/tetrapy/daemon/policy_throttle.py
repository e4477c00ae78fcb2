# SPDX-License-Identifier: Apache-2.0
"""Policies that would keep the agent busy with all that a machine does: they tell of a part of it.

Each policy has a budget of the agent's processor time. One whose calls have used it up tells of
none until half of it has come back; those that act on processes go on acting.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from tetrapy.errors import KernelError
from tetrapy.events.throttle import START, STOP, ProcessThrottle
from tetrapy.kernel import capabilities

if TYPE_CHECKING:
    from tetrapy.daemon.policies import Entry, Policies
    from tetrapy.sensors.policy.handler import CallHandler
    from tetrapy.sensors.source import EventSource

_WINDOW = 40.0
"""Seconds: what comes back in this time a policy may use at once."""

Log = Callable[..., None]


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
        self._left: Dict[int, float] = {}  # seconds, by the policy's number; others have all
        self._silent: Dict[int, Entry] = {}
        self._counts: Dict[int, int] = {}  # records at the last look, by hook
        self._received = self._lost = 0  # records of all kinds, and of calls
        self._cpu = time.thread_time()
        self._clock = time.monotonic()
        self.begun: Dict[Tuple[str, str], int] = {}  # how often, by name and namespace

    def tick(self, received: int, now: str) -> List[ProcessThrottle]:
        """Look at what policies have used since the last look; there were `received` records.

        Returns what is to be told, at the time `now`.
        """
        clock, cpu = time.monotonic(), time.thread_time()
        came, used, passed = received - self._received, cpu - self._cpu, clock - self._clock
        self._received, self._cpu, self._clock = received, cpu, clock
        calls: Optional[CallHandler] = getattr(self._sensor, "calls", None)  # of eBPF only
        counts = calls.records() if calls is not None else {}
        if counts == self._counts and not self._left:
            return []
        before, self._counts = self._counts, counts
        lost = self._sensor.buffer_losses().get("call", 0)
        new = sum(counts.values()) - sum(before.values())
        # What found no room in the buffer counts as if it had been told.
        each = used / came * (1 + (lost - self._lost) / max(new, 1)) if came > 0 else 0.0
        self._lost = lost
        events = []
        for entry in list(self._policies.entries):
            if entry.loaded is None:
                self._forget(entry)
                continue
            own = sum(counts.get(one, 0) - before.get(one, 0) for one in entry.loaded.numbers)
            left = self._left.get(entry.number, self._most) + passed * self._share - each * own
            left = max(left, -self._most / 2)  # so that it is silent for a window at most
            if left >= self._most and entry.number not in self._silent:
                self._left.pop(entry.number, None)
            else:
                self._left[entry.number] = left
                events += self._judge(entry, left, now)
        return events

    def _judge(self, entry: Entry, left: float, now: str) -> List[ProcessThrottle]:
        silent = entry.number in self._silent
        if silent == (left < (self._most / 2 if silent else 0)):
            return []
        assert entry.loaded is not None
        fields: Dict[str, Any] = {"policy": entry.label}
        try:
            with capabilities.raised():
                entry.loaded.silence(not silent)
        except KernelError as err:
            self._log("error", "A policy cannot be throttled", **fields, error=str(err))
            return []
        if silent:
            del self._silent[entry.number]
            self._log("info", "A policy is throttled no longer", **fields)
        else:
            self._silent[entry.number] = entry
            name = (entry.name, entry.namespace)
            self.begun[name] = self.begun.get(name, 0) + 1
            self._log(
                "warn",
                "A policy is throttled: the agent is busy with its calls, and tells of none of them"
                " for some seconds",
                **fields,
                hint="give it selectors, or raise --policy-cpu-share",
            )
        return [ProcessThrottle(STOP if silent else START, f"policy {entry.label}", now)]

    def _forget(self, entry: Entry) -> None:
        self._left.pop(entry.number, None)
        self._silent.pop(entry.number, None)
