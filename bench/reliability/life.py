# SPDX-License-Identifier: Apache-2.0
"""Signs of life, as the service manager sees them: the other end of $NOTIFY_SOCKET."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from pathlib import Path
from typing import Self

# What the agent is told to be the watchdog's patience: it gives its sign twice in this time, so
# that pauses far below those that the unit's 30 seconds allow are seen.
TIMEOUT = 2.0
ALLOWED = 30.0  # seconds, of tetrapy.service


class Life:
    """Notes the longest pause between two signs, from the first on."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "notify"
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._ended = threading.Event()
        self._last = 0.0
        self.longest = 0.0
        self.signs = 0
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """What systemd sets for the agent."""
        return {
            "NOTIFY_SOCKET": str(self._path),
            "WATCHDOG_USEC": str(int(TIMEOUT * 1e6)),
        }

    def end(self) -> Self:
        """The agent is about to be told to stop: the pause that lasts counts, none after it."""
        self._ended.set()
        self._thread.join()
        self._socket.close()
        os.unlink(self._path)
        if self._last:
            self.longest = max(self.longest, time.monotonic() - self._last)
        return self

    def _listen(self) -> None:
        while not self._ended.is_set():
            ready, _, _ = select.select([self._socket], [], [], 0.1)
            if ready and self._is_sign(self._socket.recv(4096)):
                now = time.monotonic()
                if self._last:
                    self.longest = max(self.longest, now - self._last)
                self._last = now
                self.signs += 1

    @staticmethod
    def _is_sign(message: bytes) -> bool:
        return any(line in {b"WATCHDOG=1", b"READY=1"} for line in message.split(b"\n"))
