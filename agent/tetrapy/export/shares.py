# SPDX-License-Identifier: Apache-2.0
"""How much of the export files each user may fill, so that none pushes out what others did.

Files that rotate keep the last so many bytes; who makes enough lines decides which. So each user
other than root has a share, and what it fills comes back evenly over a day. Lines beyond the share
are for another place, which the target knows.

A user is a uid; subordinate ones, which one user has thousands of, count together in blocks, as in
bpf/share.h. A program that root owns and everybody may start counts for who started it. The login
uid is not looked at: where nobody logged in, a process may set it to anybody's.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Sequence, Set, Tuple

from tetrapy.events.event import Event

_DAY = 86_400.0  # seconds in which a share comes back
_BACK = 0.9  # of the share: from there on a user's lines are as everybody's again
_USERS = 1024  # that are distinguished; all others have one share together
_OTHERS = -1
_SUBORDINATE = 65536  # uids from here on are given out in blocks of so many


class Shares:
    """Bytes by user; times are seconds of a clock that never goes back."""

    def __init__(self, most: int, reported: Callable[[int], None]) -> None:
        """`most` bytes are a share; `reported` is called with a user whose lines go elsewhere
        now.
        """
        self.most = most
        self._report = reported
        self._used: Dict[int, float] = {}
        self._beyond: Set[int] = set()
        self._settled = 0.0

    def is_beyond(self, event: Event, size: int) -> bool:
        """Whether a line of so many bytes is more than its user may have; counts it if not."""
        process = event.process
        if process is None:
            return False
        user = process.uid
        if not user:
            parent = event.parent
            if parent is None or not parent.uid:
                return False
            user = parent.uid
        if user >= _SUBORDINATE:
            user &= -_SUBORDINATE
        used = self._used
        if user not in used and len(used) >= _USERS:
            user = _OTHERS
        if user in self._beyond:
            return True
        total = used[user] = used.get(user, 0.0) + size
        if total <= self.most:
            return False
        used[user] = total - size
        self._beyond.add(user)
        self._report(user)
        return True

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
        back = self.most * (now - self._settled) / _DAY if self._settled else 0.0
        self._settled = now
        for user, total in list(self._used.items()):
            if total > back:
                self._used[user] = total - back
            else:
                del self._used[user]
        few = self.most * _BACK
        self._beyond = {user for user in self._beyond if self._used.get(user, 0.0) > few}
