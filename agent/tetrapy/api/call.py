# SPDX-License-Identifier: Apache-2.0
"""One call on a connection, seen from either end: messages in, messages out, and how it ended."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Callable, Deque, Dict, List, Optional, Tuple, Union

from tetrapy.api.grpc import MAX_MESSAGE, Deframer, Status

if TYPE_CHECKING:
    from tetrapy.api.connection import Connection

Headers = Dict[str, str]


def _ignored(*_: object) -> None:
    pass


class Call:
    """A stream of HTTP/2 that carries one call.

    Who makes or answers it sets the four functions; after `on_closed` none of them is called, and
    what is sent goes nowhere.
    """

    def __init__(self, connection: Connection, stream: int, headers: Headers) -> None:
        """`headers` are those of the request."""
        self.connection = connection
        self.stream = stream
        self.headers = headers
        self.deadline: Optional[float] = None  # in seconds of the monotonic clock
        self.most = MAX_MESSAGE  # bytes of a message that the peer may send
        self.deframer: Optional[Deframer] = None  # once the peer's headers are there
        self.closed = False
        self.answered = False  # the server's headers have gone, or come
        self.on_message: Callable[[bytes], None] = _ignored
        self.on_half_closed: Callable[[], None] = _ignored
        """The peer sends no more messages."""
        self.on_closed: Callable[[Status], None] = _ignored
        """The peer, or the connection, has ended the call."""
        self.on_room: Callable[[], None] = _ignored
        """All that was sent is on its way, and there is room for more."""
        self.waiting: Deque[Union[bytes, memoryview]] = deque()
        self.waiting_bytes = 0
        self.end: Optional[List[Tuple[str, str]]] = None  # trailers, empty for none
        self.ending = False

    @property
    def path(self) -> str:
        """`/package.Service/Method`"""
        return self.headers.get(":path", "")

    def send(self, framed: bytes) -> None:
        """Send messages, each framed (`grpc.frame`); what there is no room for waits."""
        if self.closed or self.ending:
            return
        self.waiting.append(framed)
        self.waiting_bytes += len(framed)
        self.connection.pump(self)

    def answer(self) -> None:
        """As a server: send the headers of the response, so that the client knows it is heard."""
        if not self.closed and not self.answered:
            self.connection.send_headers(self)

    def finish(self, status: Status) -> None:
        """As a server: end the call, behind what was sent."""
        if not self.closed and not self.ending:
            self.ending = True
            self.end = status.headers()
            self.connection.pump(self)

    def half_close(self) -> None:
        """As a client: send no more messages."""
        if not self.closed and not self.ending:
            self.ending = True
            self.connection.pump(self)

    def cancel(self) -> None:
        """End the call at once; nobody hears of it but the peer."""
        if not self.closed:
            self.connection.reset(self)
