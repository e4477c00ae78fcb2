# SPDX-License-Identifier: Apache-2.0
"""How much of the export files each user may fill, so that none pushes out what others did.

Files that rotate keep the last so many bytes; who makes enough lines decides which. So everybody
but root of the host has a share (events/account.py says who is one), and what fills it comes back
evenly over a day. Lines beyond the share are for another place, which the target knows.

In a container each user has a share, and all of them together have two, since root of a container
may be any user. A user in all containers has two as well, for who may make cgroups makes them look
like containers.
"""

from __future__ import annotations

from typing import Callable, Hashable, List, Sequence, Set, Tuple

from tetrapy.events.account import Account
from tetrapy.events.event import Event
from tetrapy.export.ledger import KNOWN, Ledger

_DAY = 86_400.0  # seconds in which a share comes back
_BACK = 0.9  # of the share: from there on a user's lines are as everybody's again
_TOGETHER = 2  # shares of a container, and of a user in all containers


class _Level:
    """Shares of the same size."""

    def __init__(self, words: str, times: int, report: Callable[[str], None]) -> None:
        """`words` say whose they are, for `report`; each is `times` what a user may have."""
        self._words = words
        self._times = times
        self._report = report
        self._beyond: Set[Hashable] = set()
        self.ledger = Ledger()

    def has_room(self, whose: Hashable, seconds: float, now: float) -> bool:
        """Whether what a user's share gives back in so many seconds has room in it."""
        if self._beyond and whose in self._beyond:
            return False
        if self.ledger.owed(whose, now) + seconds / self._times <= _DAY:
            return True
        self._begin(whose)
        return False

    def fill(self, whose: Hashable, seconds: float, now: float) -> bool:
        """Fill it with that, if there is room; whether there is."""
        if self._beyond and whose in self._beyond:
            return False
        if self.ledger.take(whose, now, seconds / self._times, _DAY):
            return True
        self._begin(whose)
        return False

    def _begin(self, whose: Hashable) -> None:
        """Its lines are beyond it from now on."""
        if len(self._beyond) < KNOWN:
            self._beyond.add(whose)
            self._report(self._words.format(whose))

    def settle(self, now: float) -> None:
        """Let those go on who have enough of it back."""
        if self._beyond:
            owed = self.ledger.owed
            self._beyond = {one for one in self._beyond if owed(one, now) > _DAY * _BACK}


class Shares:
    """Bytes by account; times are seconds of a clock that never goes back."""

    def __init__(self, most: int, reported: Callable[[str], None]) -> None:
        """`most` bytes, more than 0, are a share; `reported` is called with whose lines go
        elsewhere now.
        """
        self.most = most
        self._each = _Level("{}", 1, reported)
        self._containers = _Level("all in {}", _TOGETHER, reported)
        self._in_containers = _Level("{} in all containers", _TOGETHER, reported)
        self._now = self._settled = 0.0

    def is_beyond(self, event: Event, size: int) -> bool:
        """Whether a line of so many bytes is more than its account may have; counts it if not."""
        process = event.process
        if process is None:
            return False
        account = process.account
        uid, container = account
        if container:
            return self._is_beyond_in_container(account, size * _DAY / self.most)
        if not uid:
            return False
        whose = uid if uid > 0 else account
        return not self._each.fill(whose, size * _DAY / self.most, self._now)

    def _is_beyond_in_container(self, account: Account, seconds: float) -> bool:
        places: List[Tuple[_Level, Hashable]] = [
            (self._each, account),
            (self._containers, account.container),
        ]
        if account.uid:
            places.append((self._in_containers, account.uid))
        for level, whose in places:
            if not level.has_room(whose, seconds, self._now):
                return True
        for level, whose in places:
            level.fill(whose, seconds, self._now)
        return False

    def divide(
        self, lines: List[bytes], events: Sequence[Event]
    ) -> Tuple[List[bytes], List[bytes]]:
        """The lines of these events that are within their users' shares, and those beyond."""
        beyond = list(map(self.is_beyond, events, map(len, lines)))
        if True not in beyond:
            return lines, []
        within = [line for line, out in zip(lines, beyond) if not out]
        return within, [line for line, out in zip(lines, beyond) if out]

    def settle(self, now: float) -> None:
        """Give back what time has earned."""
        if self._settled:
            self._now += now - self._settled
        self._settled = now
        for level in (self._each, self._containers, self._in_containers):
            level.settle(self._now)
