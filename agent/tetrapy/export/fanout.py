# SPDX-License-Identifier: Apache-2.0
"""Each batch of events to who counts events, and to every subscription."""

from __future__ import annotations

from typing import Callable, Iterable, List, Sequence

from tetrapy.events.event import Event
from tetrapy.export.subscription import Subscription
from tetrapy.filters.excess import excess

_SLICE = 64  # events between two signs of life

Count = Callable[[Iterable[Event]], None]


class Fanout:
    """Counters see all events, before any filter; each subscription has filters of its own."""

    def __init__(
        self,
        subscriptions: Sequence[Subscription],
        log: Callable[..., None],
        counters: Sequence[Count] = (),
    ) -> None:
        self._subscriptions: List[Subscription] = list(subscriptions)
        self._lasting = tuple(subscriptions)  # those of the agent itself, not of clients
        self._counters = list(counters)
        self._log = log
        self._alive: Callable[[], None] = lambda: None

    def report_to(self, alive: Callable[[], None]) -> None:
        """Call `alive` now and then within a batch, so that a long one is not taken for a stop."""
        self._alive = alive
        for one in self._subscriptions:
            one.alive = alive

    def add(self, subscription: Subscription) -> None:
        """From now on `subscription` takes events too."""
        subscription.alive = self._alive
        self._subscriptions = [*self._subscriptions, subscription]

    def remove(self, subscription: Subscription) -> None:
        """It takes none any more; a batch that is being published may still reach it."""
        self._subscriptions = [one for one in self._subscriptions if one is not subscription]

    def publish(self, events: Sequence[Event]) -> None:
        """Have every subscription take the events; each target gets one write, if any."""
        for count in self._counters:
            count(events)
        subscriptions = self._subscriptions
        for at in range(0, len(events), _SLICE):
            part = events[at : at + _SLICE]
            for one in subscriptions:
                one.take(part)
            self._alive()
        for one in subscriptions:
            one.flush()

    def tick(self, now: float) -> None:
        """What time brings, about once a second: windows, limits, rotation.

        `now` in seconds of the monotonic clock.
        """
        for one in self._subscriptions:
            one.tick(now)
        for setting, pattern in excess.take_new():
            self._log(
                "warn",
                "A pattern would have cost too much for a text; its answer is not known",
                setting=setting,
                pattern=pattern,
                hint="see Patterns in docs/filters.md",
            )

    @property
    def passed(self) -> int:
        """Events that the lists of the settings let pass, summed over their subscriptions."""
        return sum(one.passed for one in self._lasting)

    @property
    def dropped(self) -> int:
        """Events that the lists of the settings did not let pass, likewise."""
        return sum(one.dropped for one in self._lasting)

    @property
    def reader_is_gone(self) -> bool:
        """Whether a target has lost the reader that it was opened for."""
        for one in self._subscriptions:  # noqa: SIM110 - asked each turn: no generator
            if one.target.reader_is_gone:
                return True
        return False

    @property
    def wants_push(self) -> bool:
        """Whether lines wait for a slow reader."""
        for one in self._subscriptions:  # noqa: SIM110 - likewise
            if one.target.wants_push:
                return True
        return False

    def push(self) -> None:
        """Hand over what waits for slow readers, as far as it is taken at once."""
        for one in self._subscriptions:
            if one.target.wants_push:
                one.target.push()
