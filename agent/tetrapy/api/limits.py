# SPDX-License-Identifier: Apache-2.0
"""What a peer can make grow on a connection, and how much of it."""

from __future__ import annotations

import time

MAX_CALLS = 100  # at a time, on one connection
MAX_HEADERS = 16 << 10  # bytes of a call's headers
HIGH, LOW = 256 << 10, 64 << 10  # bytes on their way at which messages wait, and go on
MAX_OUTGOING = 1 << 20  # bytes for a peer that does not read
CLOSED_STREAMS = 1024  # that are remembered


class Allowance:
    """Bytes of messages that are not whole yet, on all connections that share it."""

    def __init__(self, most: int) -> None:
        self.left = most


class Patience:
    """How much work without use a peer may make: a bucket that time and use fill."""

    _FULL = 1000.0
    _A_SECOND = 100.0

    def __init__(self) -> None:
        self._left = self._FULL
        self._at = time.monotonic()

    def spend(self, cost: float) -> bool:
        """Whether there is any left."""
        now = time.monotonic()
        self._left = min(self._FULL, self._left + (now - self._at) * self._A_SECOND) - cost
        self._at = now
        return self._left > 0

    def regain(self, much: float) -> None:
        """What was of use gives some back."""
        self._left = min(self._FULL, self._left + much)
