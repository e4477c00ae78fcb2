# SPDX-License-Identifier: Apache-2.0
"""Reporting to the service manager what the agent does: systemd's sd_notify(3) without its library.

Messages are datagrams to the socket that $NOTIFY_SOCKET names. Without one nothing is sent, and
what keeps a message from being sent is no trouble of the agent's.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Callable, Iterator, List, Mapping, Optional

from tetrapy.visible import printable

if TYPE_CHECKING:
    import socket

_EXTENSION = 120  # seconds that the next step of a long work is given
_OFTEN = 1.0  # seconds; more often it is not asked for

SOCKET, WATCHDOG, WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class Notifier:
    """Speaks to the service manager that the environment names."""

    def __init__(
        self, environment: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._address = _address(environment.get(SOCKET, ""))
        self._socket: Optional[socket.socket] = None
        self._beat = _watchdog_seconds(environment) / 2  # 0: nobody waits for it
        self._next_beat = clock()
        self._next_extension = clock()
        self._is_ready = False
        self._status = ""

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._address)

    def ready(self, status: str = "") -> None:
        """The agent listens, for the first time or again."""
        self._is_ready = True
        self._send(["READY=1", *self._changed(status)])

    def heartbeat(self, status: str = "") -> None:
        """The agent works: answer the watchdog when it is time, and tell a new status."""
        lines = self._changed(status)
        now = self._clock()
        if self._beat and now >= self._next_beat:
            lines.append("WATCHDOG=1")
        if lines and self._send(lines) and lines[-1] == "WATCHDOG=1":
            self._next_beat = now + self._beat

    def busy(self) -> None:
        """The start, or a long work of the loop, goes on; its next step may take its time, too.

        A start is not answered for to the watchdog, which would begin to wait by that. Later the
        answer goes first, since the manager would forget for it what it was asked.
        """
        now = self._clock()
        if now < self._next_extension:
            return
        self._next_extension = now + _OFTEN
        if self._beat and self._is_ready and self._send(["WATCHDOG=1"]):
            self._next_beat = now + self._beat
        self._send([f"EXTEND_TIMEOUT_USEC={_EXTENSION * 1_000_000}"])

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """For a `with`: settings are reloaded, then the agent is ready again, come what may."""
        self._send(["RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}"])
        try:
            yield
        finally:
            self._send(["READY=1"])

    def stopping(self) -> None:
        """The agent stops."""
        self._send(["STOPPING=1", "STATUS=writing what is left"])

    def close(self) -> None:
        """Close the socket; the last call."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _changed(self, status: str) -> List[str]:
        if not status or status == self._status:
            return []
        self._status = status
        # One line each: what is behind a line feed would be taken for another variable.
        return ["STATUS=" + printable(status.replace("\n", " "))]

    def _send(self, lines: List[str]) -> bool:
        if not self._address:
            return False
        import socket  # an agent without a service manager does not need it

        text = "\n".join(lines).encode("utf-8", "surrogateescape")
        try:
            if self._socket is None:
                kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
                self._socket = socket.socket(socket.AF_UNIX, kind)
            self._socket.sendto(text, self._address)
        except OSError:  # a manager that is gone, or takes nothing now
            return False
        return True


def _address(name: str) -> bytes:
    """The socket's address as the kernel knows it; empty for none, and for what is no address."""
    if name.startswith("@"):  # of the abstract name space
        return b"\0" + os.fsencode(name[1:])
    return os.fsencode(name) if name.startswith("/") else b""


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """Within how many seconds the manager wants a sign of life of this process; 0 is never."""
    try:
        if int(environment.get(WATCHDOG_PID, os.getpid())) != os.getpid():
            return 0.0  # it is meant for another process
        return max(0, int(environment.get(WATCHDOG, "0"))) / 1e6
    except ValueError:
        return 0.0
