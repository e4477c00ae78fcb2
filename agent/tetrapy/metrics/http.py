# SPDX-License-Identifier: Apache-2.0
"""A small HTTP server in a thread of its own: GET of a few paths, one request a connection.

One thread serves every connection without ever waiting for one, and a path is asked once a second
at most: its bytes are shared by all who want them. So neither a reader that stalls nor a flood of
them costs the agent more than some memory. Python's own servers take a thread for each connection,
or let the first one keep all others waiting.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import threading
import time
import zlib
from http import HTTPStatus
from typing import Callable, Dict, List, Mapping, Optional, Tuple

from tetrapy.errors import MetricsError
from tetrapy.named import NamedTuple

TIMEOUT = 10.0  # seconds from the start of a connection to its end
MAX_CONNECTIONS = 64  # one more, and the oldest is closed
MAX_REQUEST = 16 << 10  # bytes of request line and headers
MAX_PASSED_OVER = 1 << 20  # bytes that a peer may send behind its request
SEND_BUFFER = 64 << 10  # bytes of a reply that the kernel keeps for a peer that does not read
KEPT = 1.0  # seconds for which what a path said is good
_PAUSE = 1000  # milliseconds without new connections after the machine has refused one

# Prometheus asks for gzip. Who writes a weight of 0 does not want it.
_GZIP_WANTED = re.compile(
    rb"^accept-encoding:[^\n]*\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))",
    re.IGNORECASE | re.MULTILINE,
)
_ENDS = (b"\r\n\r\n", b"\n\n")  # of a request's head
_GZIP_HEAD = 16 + zlib.MAX_WBITS  # zlib's way to ask for gzip's head instead of its own
_GZIP_LEVEL = 1  # half the time for a seventh more bytes
_WORTH_IT = 1024  # bytes; smaller ones stay as they are

Log = Callable[..., None]


class Reply(NamedTuple):
    """What a path says when it is asked."""

    kind: str  # content type
    body: bytes
    status: HTTPStatus = HTTPStatus.OK


Answer = Callable[[], Reply]
Routes = Mapping[str, Answer]
_Response = Tuple[bytes, bytes]  # head and body, which many may share


class _Page:
    """A path: what it said last, for `KEPT` seconds."""

    def __init__(self, path: str, answer: Answer, log: Log) -> None:
        self._path = path
        self._answer = answer
        self._log = log
        self._good_until = 0.0
        self._responses: Dict[bool, _Response] = {}  # by whether it is compressed

    def response(self, compressed: bool) -> _Response:
        """The response of now, or of a moment ago."""
        now = time.monotonic()
        if now >= self._good_until:
            self._responses = {False: self._asked()}
            self._good_until = now + KEPT
        plain = self._responses[False]
        if not compressed or self._reply is None or len(plain[1]) < _WORTH_IT:
            return plain
        if True not in self._responses:
            reply = self._reply._replace(body=_compressed(plain[1]))
            self._responses[True] = _response(*reply, header="Content-Encoding: gzip")
        return self._responses[True]

    def _asked(self) -> _Response:
        self._reply: Optional[Reply] = None
        try:
            self._reply = self._answer()
        except Exception as err:  # noqa: BLE001 - a figure that cannot be had ends no thread
            self._log("error", "HTTP request cannot be answered", path=self._path, error=repr(err))
            return _response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        return _response(*self._reply)


class HttpServer:
    """Answers at `listener`, which becomes its own, from now until `close`."""

    def __init__(
        self, listener: socket.socket, routes: Routes, log: Log, name: str = "metrics"
    ) -> None:
        """`name` is the thread's. Raises MetricsError when the machine gives none."""
        self._listener = listener
        self._pages = {path: _Page(path, answer, log) for path, answer in routes.items()}
        self._connections: Dict[int, _Connection] = {}
        self._stop_read, self._stop_write = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        listener.setblocking(False)
        # Signals are for the main thread, which waits for them.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        except RuntimeError as err:
            self._release()
            os.close(self._stop_write)
            raise MetricsError(f"{name} cannot be served: {err}; is a limit reached?") from err
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def close(self) -> None:
        """Close the listener and every connection; a second call does nothing."""
        if self._stop_write >= 0:
            os.close(self._stop_write)
            self._stop_write = -1
            self._thread.join()

    def _serve(self) -> None:
        poll, pause = select.poll(), select.poll()
        poll.register(self._stop_read, 0)  # a pipe whose writer is gone wakes poll(2) unasked
        pause.register(self._stop_read, 0)
        poll.register(self._listener, select.POLLIN)
        try:
            while True:
                ready = [fd for fd, _ in poll.poll(self._next_deadline())]
                if self._stop_read in ready:
                    return
                for fd in ready:
                    if fd in self._connections:
                        self._go_on(fd, poll)
                for fd in self._overdue():
                    self._drop(fd, poll)
                if self._listener.fileno() in ready and not self._accept(poll):
                    pause.poll(_PAUSE)
        finally:
            self._release()

    def _accept(self, poll: select.poll) -> bool:
        """Take one connection; False when the machine has no descriptor or memory for it."""
        try:
            peer, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):  # it has gone again
            return True
        except OSError:
            return False
        if len(self._connections) >= MAX_CONNECTIONS:
            self._drop(next(iter(self._connections)), poll)
        peer.setblocking(False)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._connections[peer.fileno()] = _Connection(peer, self._respond)
        poll.register(peer, select.POLLIN)
        return True

    def _go_on(self, fd: int, poll: select.poll) -> None:
        wanted = self._connections[fd].go_on()
        if wanted:
            poll.modify(fd, wanted)
        else:
            self._drop(fd, poll)

    def _drop(self, fd: int, poll: select.poll) -> None:
        poll.unregister(fd)
        self._connections.pop(fd).peer.close()

    def _next_deadline(self) -> Optional[float]:
        """Milliseconds until the oldest connection has had its time; None without connections."""
        for connection in self._connections.values():
            return max(0.0, connection.deadline - time.monotonic()) * 1000 + 1
        return None

    def _overdue(self) -> Tuple[int, ...]:
        now = time.monotonic()
        return tuple(fd for fd, one in self._connections.items() if one.deadline <= now)

    def _respond(self, request: bytes) -> _Response:
        """The response to a request's head."""
        words = request.partition(b"\n")[0].decode("latin-1").split()
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _response(status=HTTPStatus.BAD_REQUEST)
        method, target, _ = words
        page = self._pages.get(target.partition("?")[0])
        if page is None:
            head, body = _response(status=HTTPStatus.NOT_FOUND)
        elif method in {"GET", "HEAD"}:
            head, body = page.response(_GZIP_WANTED.search(request) is not None)
        else:
            return _response(status=HTTPStatus.METHOD_NOT_ALLOWED, header="Allow: GET, HEAD")
        return head, b"" if method == "HEAD" else body

    def _release(self) -> None:
        os.close(self._stop_read)
        self._listener.close()
        for connection in self._connections.values():
            connection.peer.close()


class _Connection:
    """One request: it is read, answered, and what else the peer sends is passed over."""

    def __init__(self, peer: socket.socket, respond: Callable[[bytes], _Response]) -> None:
        self.peer = peer
        self.deadline = time.monotonic() + TIMEOUT
        self._respond = respond
        self._request = bytearray()
        self._rest: List[memoryview] = []
        self._passed_over = 0
        self._step = _Connection._read

    def go_on(self) -> int:
        """Do what can be done at once; what to poll for before the next call, 0 when it is over."""
        return self._step(self)

    def _read(self) -> int:
        data = self._received()
        if not data:
            return 0 if data is not None else select.POLLIN
        seen = max(0, len(self._request) - len(_ENDS[0]))
        self._request += data
        if any(self._request.find(end, seen) >= 0 for end in _ENDS):
            response = self._respond(bytes(self._request))
        elif len(self._request) >= MAX_REQUEST:
            response = _response(status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        else:
            return select.POLLIN
        self._rest = [memoryview(part) for part in response if part]
        self._step = _Connection._write
        return self._write()

    def _write(self) -> int:
        try:
            while self._rest:
                sent = self.peer.send(self._rest[0])
                self._rest[0] = self._rest[0][sent:]
                if not self._rest[0]:
                    del self._rest[0]
            self.peer.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return select.POLLOUT
        except OSError:
            return 0
        # A socket that is closed with unread bytes in it takes back what it has sent.
        self._step = _Connection._pass_over
        return select.POLLIN

    def _pass_over(self) -> int:
        data = self._received()
        self._passed_over += len(data or b"")
        return 0 if data == b"" or self._passed_over > MAX_PASSED_OVER else select.POLLIN

    def _received(self) -> Optional[bytes]:
        """Bytes from the peer; none when it has ended, None when there are none yet."""
        try:
            return self.peer.recv(MAX_REQUEST)
        except BlockingIOError:
            return None
        except OSError:
            return b""


def _compressed(body: bytes) -> bytes:
    gzip = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_HEAD)
    return gzip.compress(body) + gzip.flush()


def _response(
    kind: str = "text/plain",
    body: bytes = b"",
    status: HTTPStatus = HTTPStatus.OK,
    header: str = "",
) -> _Response:
    body = body or f"{status.value} {status.phrase}\n".encode()
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if header:
        lines.append(header)
    return "\r\n".join(lines).encode() + b"\r\n\r\n", body
