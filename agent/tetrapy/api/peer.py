# SPDX-License-Identifier: Apache-2.0
"""One client that is connected to the server: its socket, its TLS, its connection, who it is."""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from tetrapy.api.call import Call
from tetrapy.api.connection import Allowance, Connection, ConnectionLostError
from tetrapy.api.sockets import NOT_NOW

if TYPE_CHECKING:
    import ssl

HANDSHAKE = 10.0  # seconds in which a client has to have said that it speaks HTTP/2
_READ = 16 << 10  # bytes a turn: many small frames cost more than their bytes
_WRITE = 128 << 10
_LINGER = 2.0  # seconds for the last words of a connection that is given up
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid (struct ucred)
Socket = Union[socket.socket, "ssl.SSLSocket"]


class Peer:
    """A client; `turn` does what can be done at once, and `wanted` says what to poll for."""

    def __init__(
        self,
        accepted: socket.socket,
        tls: Optional[ssl.SSLContext],
        on_call: Callable[[Call, Peer], None],
        allowance: Allowance,
    ) -> None:
        """Raises OSError for a client that is gone already."""
        accepted.setblocking(False)
        self.name = _name(accepted)
        self.since = time.monotonic()
        self.done = False
        self._shaking = tls is not None
        self._socket: Socket = accepted
        if tls is not None:
            self._socket = tls.wrap_socket(
                accepted, server_side=True, do_handshake_on_connect=False
            )
        if accepted.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        self.fd = self._socket.fileno()
        self._greeted = False
        self._lingers = 0.0  # until when what is left is sent
        self.connection = Connection(False, lambda call: on_call(call, self), allowance)
        self.why = ""  # it was given up

    @property
    def is_idle(self) -> bool:
        """Whether no call is running."""
        return not self.connection.calls

    @property
    def wanted(self) -> int:
        """What to poll for."""
        if self._lingers or self.connection.outgoing:
            return select.EPOLLOUT | (0 if self._lingers else select.EPOLLIN)
        return select.EPOLLIN

    def turn(self) -> None:
        """Receive and send."""
        if self._shaking and not self._shake_hands():
            return
        if not self._lingers:
            self._receive()
        self.flush()

    def _shake_hands(self) -> bool:
        secured: Any = self._socket
        try:
            secured.do_handshake()
        except NOT_NOW:
            return False
        except OSError as err:
            self.why = f"TLS: {getattr(err, 'reason', None) or err}"
            self.done = True
            return False
        self._shaking = False
        subject: Any = (secured.getpeercert() or {}).get("subject", ())
        if subject:
            pairs = [pair for part in subject for pair in part]
            self.name = f"{self.name} ({', '.join(f'{key}={value}' for key, value in pairs)})"
        return True

    def _receive(self) -> None:
        while not self.done and not self._lingers:
            try:
                data = self._socket.recv(_READ)
            except NOT_NOW:
                return
            except OSError as err:
                self._gone(f"the connection broke: {err.strerror or err}")
                return
            if not data:
                self._gone("the client closed the connection")
                return
            self._greeted = True
            try:
                self.connection.receive(data)
            except ConnectionLostError as err:
                self.give_up(str(err))
            pending: int = getattr(self._socket, "pending", int)()
            if not pending:
                return

    def give_up(self, why: str, calm: bool = False) -> None:
        """End the connection, with what is left to be said."""
        self.why = why
        self.connection.close(calm)
        self.connection.lost(why)
        self._lingers = time.monotonic() + _LINGER
        self.flush()

    def _gone(self, why: str) -> None:
        self.done = True
        self.connection.lost(why)

    def flush(self) -> None:
        """Send what can be sent at once."""
        connection = self.connection
        while connection.outgoing and not self.done and not self._shaking:
            try:
                with memoryview(connection.outgoing) as view:
                    count = self._socket.send(view[:_WRITE])
            except NOT_NOW:
                return
            except OSError as err:
                self._gone(f"the connection broke: {err.strerror or err}")
                return
            connection.sent(count)
        if self._lingers and not connection.outgoing:
            self.done = True

    def tick(self, now: float) -> None:
        """Deadlines; `now` in seconds of the monotonic clock."""
        self.connection.expire(now)
        if not self._greeted and now - self.since > HANDSHAKE:
            self._gone("the client said nothing")
        elif self._lingers and now > self._lingers:
            self.done = True
        else:
            self.flush()

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


def _name(accepted: socket.socket) -> str:
    """Who it is: uid and pid at a unix socket, else the address."""
    if accepted.family == socket.AF_UNIX:
        data = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(data)
        return f"uid {uid}, pid {pid}"
    host, port = accepted.getpeername()[:2]
    return f"{host}:{port}"
