# SPDX-License-Identifier: Apache-2.0
"""Events wait until their containers are known, for a bounded time.

An event waits while a container of a process that it shows is asked for, and as long as an earlier
event of its process does; all others go on. What waited long enough goes without; so do events of
whose wait most bytes, a user or a container, when all of them take too many.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import (
    Callable,
    Deque,
    Dict,
    Iterable,
    Iterator,
    List,
    Protocol,
    Sequence,
    Set,
    Tuple,
    Union,
)

from tetrapy.events.container import Membership
from tetrapy.events.event import Event
from tetrapy.events.process import Process
from tetrapy.process.budget import weight

MAX_BYTES = 8 << 20  # of the processes whose events wait


class Answers(Protocol):
    """Who finds out what containers are (tetrapy.containers.registry)."""

    unanswered: int
    lookups: Dict[str, int]  # by outcome

    def take_new(self) -> List[Membership]:
        """Those whose events are to wait, since the last call."""

    def settle(self) -> List[Membership]:
        """Take in what was found out; returns those of which something else is known now."""


class PendingEvents:
    """Takes events in batches, gives back those that may be shown, in the order of each process."""

    def __init__(
        self,
        answers: Answers,
        processes: Iterable[Process],
        wait: float,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wait` in seconds; `processes` are the live ones, whenever they are gone through."""
        self._answers = answers
        self._processes = processes
        self._wait = wait
        self._max_bytes = max_bytes
        self._clock = clock
        self._events: Deque[Tuple[Event, int]] = deque()  # and weight
        self._pids: Set[int] = set()  # of the processes of these events
        self._due: Deque[Tuple[float, Membership]] = deque()  # when waiting for it ends
        self.bytes = 0
        self.waited = 0  # events
        # ... by type: events that showed nothing of their container in the end
        self.went_without: Dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._events)

    @property
    def lookups(self) -> Dict[str, int]:
        """By outcome: containers that runtimes were asked for, or not since too many waited."""
        return self._answers.lookups

    @property
    def is_busy(self) -> bool:
        """Whether anything waits, or is asked for."""
        return bool(self._events) or self._answers.unanswered > 0

    def take(self, events: Sequence[Event]) -> List[Event]:
        """Those that may be shown now: of the ones that waited, then of `events`."""
        ready = self._released()
        for event in events:
            process = event.process
            if process is None or not (process.pid in self._pids or _waits(event)):
                if _is_wanted(event):
                    ready.append(event)
                continue
            size = weight(process)
            self.bytes += size
            self.waited += 1
            self._events.append((event, size))
            self._pids.add(process.pid)
        while self.bytes > self._max_bytes:
            ready += self._heaviest()
        return ready

    def finish(self, seconds: float) -> List[Event]:
        """All that waits, when it is known or the time is over."""
        end = self._clock() + min(seconds, self._wait)
        ready = self.take(())
        while self._events and self._clock() < end:
            time.sleep(0.005)
            ready += self.take(())
        for _, membership in self._due:
            self._give_up(membership)
        self._due.clear()
        return ready + self._shown()

    def _released(self) -> List[Event]:
        """Those for which there is an answer now, or no more time."""
        now = self._clock()
        self._due += [(now + self._wait, one) for one in self._answers.take_new()]
        changed = self._answers.settle()
        late = {id(one) for one in changed if one.is_late}
        if late:
            self._show_anew(late)
        is_over = False
        while self._due and (self._due[0][0] <= now or not self._due[0][1].waits):
            self._give_up(self._due.popleft()[1])
            is_over = True
        return self._shown() if changed or is_over else []

    def _heaviest(self) -> List[Event]:
        """The first events of whose wait most, so many that there is room for some time."""
        bytes_of: Counter[Union[int, str]] = Counter()
        for event, size in self._events:
            bytes_of[_whose(event)] += size
        ((heaviest, most),) = bytes_of.most_common(1)
        most = min(most, self._max_bytes // 8)
        for event, size in self._events:
            if _whose(event) == heaviest:
                for one in _containers(event):
                    self._give_up(one)
                most -= size
                if most < 0:
                    break
        # One that came behind another one of its process, which then was another user's, goes too.
        return self._shown() or self._all()

    def _all(self) -> List[Event]:
        for event, _ in self._events:
            for one in _containers(event):
                self._give_up(one)
        return self._shown()

    def _give_up(self, membership: Membership) -> None:
        if membership.waits:
            membership.waits = False
            membership.is_late = True

    def _show_anew(self, late: Set[int]) -> None:
        """What came too late for the first events is in those to come."""
        for process in self._processes:
            if id(process.container) in late:
                process.forget_json()
                process.container.is_late = False

    def _shown(self) -> List[Event]:
        kept: Deque[Tuple[Event, int]] = deque()
        pids: Set[int] = set()
        ready: List[Event] = []
        for event, size in self._events:
            process = event.process
            assert process is not None  # others do not wait
            if process.pid in pids or _waits(event):
                kept.append((event, size))
                pids.add(process.pid)
                continue
            self.bytes -= size
            if not _is_wanted(event):
                continue
            if process.container.is_late and process.container.pod is None:
                self.went_without[event.type] = self.went_without.get(event.type, 0) + 1
            ready.append(event)
        self._events, self._pids = kept, pids
        return ready


def _is_wanted(event: Event) -> bool:
    return event.undecided is None or event.undecided.is_wanted()


def _waits(event: Event) -> bool:
    """Whether something of what it shows is still to come."""
    process, parent = event.process, event.parent
    if process is not None and process.container.waits:
        return True
    if parent is not None and parent.container.waits:
        return True
    return any(one.container.waits for one in event.ancestors)


def _containers(event: Event) -> Iterator[Membership]:
    for process in (event.process, event.parent, *event.ancestors):
        if process is not None:
            yield process.container


def _whose(event: Event) -> Union[int, str]:
    assert event.process is not None  # others do not wait
    return event.process.account.together
