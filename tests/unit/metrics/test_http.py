# SPDX-License-Identifier: Apache-2.0
"""The small HTTP server of the metrics: requests, readers that stall, start and stop."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.agent_run import Recorder
from tests.support.metrics_server import Server, fetch
from tetrapy.config.address import Address
from tetrapy.errors import MetricsError
from tetrapy.metrics import http as module
from tetrapy.metrics.http import MAX_CONNECTIONS, MAX_REQUEST, HttpServer, Reply
from tetrapy.metrics.server import listen

Asked = Callable[..., tuple[bytes, bytes]]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.server.close()


# --- requests ------------------------------------------------------------------------------------


def test_only_the_path_of_metrics(server: Server) -> None:
    """/metrics alone answers, with or without a query; only for GET and HEAD."""
    assert server.get("/metrics?x=1")[0] == 200
    assert [server.get(path)[0] for path in ("/", "/metrics/", "/METRICS", "//")] == [404] * 4
    assert server.get(method="POST")[0] == 405


def test_head(server: Server) -> None:
    """HEAD has the length of the body without the body."""
    whole = server.say(b"GET /metrics HTTP/1.1\r\n\r\n")
    head, _, body = whole.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert server.say(b"HEAD /metrics HTTP/1.1\r\n\r\n") == head + b"\r\n\r\n"
    assert server.say(b"HEAD / HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\r\n\r\n", b"400"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"GET /metrics SIP/2.0\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\n\n", b"400"),
        (b"\xff \xfe HTTP/1.1\r\n\r\n", b"404"),
        (b"x" * MAX_REQUEST, b"431"),
        (b"GET /metrics HTTP/1.0\n\n", b"200"),
        (b"GET /metrics HTTP/1.1\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000, b"200"),
    ],
)
def test_odd_requests(server: Server, request_: bytes, status: bytes) -> None:
    """Each is answered, and what comes after the request does not hurt."""
    assert server.say(request_).startswith(b"HTTP/1.1 " + status)
    assert server.get()[0] == 200


def test_a_request_in_pieces(server: Server) -> None:
    """It is answered when its head is whole."""
    with server.connect() as peer:
        for piece in (b"GET /metr", b"ics HTTP/1.1\r\nHost: x\r", b"\n\r", b"\n"):
            peer.sendall(piece)
            assert server.get()[0] == 200
        assert peer.recv(15) == b"HTTP/1.1 200 OK"


def test_a_body_larger_than_a_socket_takes(server: Server) -> None:
    """A reader who is slow gets the whole of it, and the others do not wait for him."""
    body = b"x" * (8 << 20)
    listener = listen(Address("127.0.0.1", 0))
    address = Address(*listener.getsockname())
    large = HttpServer(
        listener,
        {"/large": lambda: Reply("a/b", body), "/small": lambda: Reply("a/b", b"y")},
        Recorder(),
    )
    try:
        with socket.create_connection(address, timeout=60) as peer:
            peer.sendall(b"GET /large HTTP/1.1\r\n\r\n")
            assert peer.recv(8, socket.MSG_PEEK) == b"HTTP/1.1"
            assert fetch(address, "/small")[2] == "y"
            received = b"".join(iter(lambda: peer.recv(1 << 20), b""))
        assert received.partition(b"\r\n\r\n")[2] == body
    finally:
        large.close()


def test_who_says_nothing_keeps_nobody_waiting(server: Server) -> None:
    """More silent connections than there may be: the newest is served, the oldest was closed."""
    silent = [server.connect() for _ in range(MAX_CONNECTIONS + 3)]
    try:
        assert server.get()[0] == 200
        assert silent[0].recv(1) == b""
    finally:
        for peer in silent:
            peer.close()
    assert server.get()[0] == 200


def test_who_says_nothing_is_sent_away(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection ends when its time is over, also when nothing else happens."""
    monkeypatch.setattr(module, "TIMEOUT", 0.05)
    with server.connect() as peer:
        assert peer.recv(1) == b""


def test_no_descriptor_is_free(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the machine refuses a connection the server pauses and goes on."""
    refusals: list[OSError] = []
    real = socket.socket.accept

    def accept(listener: socket.socket) -> tuple[socket.socket, object]:
        if len(refusals) < 2:
            refusals.append(OSError(24, "Too many open files"))
            raise refusals[-1]
        return real(listener)

    monkeypatch.setattr(module, "_PAUSE", 10)
    monkeypatch.setattr(socket.socket, "accept", accept)
    assert server.get()[0] == 200
    assert len(refusals) == 2


# --- bounds ---------------------------------------------------------------------------------------


class Counted:
    """An answer that counts how often it is asked."""

    def __init__(self, body: bytes = b"x" * 4096) -> None:
        self.asked = 0
        self.body = body

    def __call__(self) -> Reply:
        self.asked += 1
        if not self.body:
            raise ValueError("no figures")
        return Reply("a/b", self.body)


@pytest.mark.parametrize("body", [b"x" * 4096, b"short", b""])
def test_a_path_is_asked_once_a_second(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """However many want to know, compressed or not, and whether it knows or fails."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    answer, log = Counted(body), Recorder()
    page = module._Page("/x", answer, log)
    got = [page.response(number % 2 == 1) for number in range(100)]
    assert answer.asked == 1
    assert all(one[1] is got[number % 2][1] for number, one in enumerate(got))
    now[0] += 0.9
    page.response(False)
    assert answer.asked == 1
    now[0] += 0.2
    page.response(True)
    assert answer.asked == 2
    assert len(log.lines) == (0 if body else 2)


def test_replies_that_nobody_reads_share_their_bytes() -> None:
    """Each costs its buffer in the kernel, which is small, and no copy of the body."""
    answer = Counted(b"x" * (4 << 20))
    listener = listen(Address("127.0.0.1", 0))
    address = Address(*listener.getsockname())
    serving = HttpServer(listener, {"/x": answer}, Recorder())
    peers = []
    try:
        for _ in range(20):
            peer = socket.create_connection(address, timeout=60)
            peers.append(peer)
            peer.sendall(b"GET /x HTTP/1.1\r\n\r\n")
            assert peer.recv(8) == b"HTTP/1.1"
        waiting = [one for one in serving._connections.values() if one._rest]
        assert len(waiting) == 20
        assert len({id(one._rest[-1].obj) for one in waiting}) <= 1 + answer.asked < 15
        sizes = [one.peer.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) for one in waiting]
        assert max(sizes) <= 2 * module.SEND_BUFFER
    finally:
        for peer in peers:
            peer.close()
        serving.close()


def test_who_sends_without_end_is_sent_away(server: Server) -> None:
    """What comes behind a request is passed over up to a bound."""
    with server.connect() as peer, pytest.raises((BrokenPipeError, ConnectionResetError)):
        peer.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" + b"x" * (64 << 20))
    assert server.get()[0] == 200


def test_a_request_byte_by_byte(server: Server) -> None:
    """Each byte is looked at once or twice, not all that came before it."""
    looked = []
    connection = module._Connection.__new__(module._Connection)
    one, other = socket.socketpair()
    one.setblocking(False)
    module._Connection.__init__(connection, one, lambda request: (b"ok", b""))

    class Request(bytearray):
        def find(self, what: bytes, start: int = 0) -> int:  # type: ignore[override]
            looked.append(len(self) - start)
            return super().find(what, start)

    connection._request = Request()
    for byte in b"GET /" + b"x" * 5000 + b"\r\n\r\n":
        other.send(bytes([byte]))
        connection.go_on()
    assert max(looked) < 10
    assert other.recv(10) == b"ok"
    one.close()
    other.close()


# --- compression ----------------------------------------------------------------------------------


@pytest.fixture
def long() -> Iterator[Asked]:
    """Asks for a text of 4 KiB with these headers; head and body of the response."""
    listener = listen(Address("127.0.0.1", 0))
    address = Address(*listener.getsockname())
    texts = {"/long": lambda: Reply("a/b", LONG), "/short": lambda: Reply("a/b", b"short")}
    serving = HttpServer(listener, texts, Recorder())

    def ask(headers: bytes, path: bytes = b"/long") -> tuple[bytes, bytes]:
        with socket.create_connection(address, timeout=60) as peer:
            peer.sendall(b"GET " + path + b" HTTP/1.1\r\n" + headers + b"\r\n\r\n")
            head, _, body = b"".join(iter(lambda: peer.recv(65536), b"")).partition(b"\r\n\r\n")
        return head, body

    yield ask
    serving.close()


LONG = b"tetragon " * 455


@pytest.mark.parametrize(
    "headers",
    [
        b"Accept-Encoding: gzip",
        b"Host: x\r\naccept-encoding:br, GZIP;q=0.5",
        b"Accept-Encoding: gzip;q=1.0, identity;q=0",
        b"Accept-Encoding: br\r\nAccept-Encoding: deflate , gzip ",
    ],
)
def test_who_accepts_gzip_gets_it(long: Asked, headers: bytes) -> None:
    """However the header is written; the length is that of what is sent."""
    head, body = long(headers)
    assert b"Content-Encoding: gzip" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert gzip.decompress(body) == LONG
    assert len(body) < len(LONG) / 10


@pytest.mark.parametrize(
    "headers",
    [
        b"Host: gzip",
        b"Accept-Encoding: identity",
        b"Accept-Encoding: gzip;q=0",
        b"Accept-Encoding: gzip ; q=0.000, br",
        b"Accept-Encoding: gzipped",
        b"X-Accept-Encoding: gzip",
    ],
)
def test_who_does_not_accept_gzip_gets_text(long: Asked, headers: bytes) -> None:
    """Nor is a weight of 0 a wish."""
    head, body = long(headers)
    assert b"Content-Encoding" not in head
    assert body == LONG


def test_a_short_body_stays_as_it_is(long: Asked) -> None:
    """Compression would make it longer."""
    head, body = long(b"Accept-Encoding: gzip", b"/short")
    assert b"Content-Encoding" not in head
    assert body == b"short"


# --- start and stop ------------------------------------------------------------------------------


def test_no_signal_reaches_the_thread() -> None:
    """All signals are blocked in it; those of the thread that made it are as before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    serving = Server()
    try:
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "metrics"]
        status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
        blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
        assert all(blocked >> number - 1 & 1 for number in (signal.SIGINT, signal.SIGTERM))
    finally:
        serving.server.close()


def test_close_gives_everything_back() -> None:
    """Thread, descriptors and port are free again, with connections open; twice is once."""
    before = len(os.listdir("/proc/self/fd"))
    serving = Server()
    with serving.connect() as peer:
        assert serving.get()[0] == 200
        serving.server.close()
        serving.server.close()
        assert peer.recv(1) == b""
    assert len(os.listdir("/proc/self/fd")) == before
    assert "metrics" not in {thread.name for thread in threading.enumerate()}
    listen(serving.address).close()


def test_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on threads is named, and nothing is left open."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    before = len(os.listdir("/proc/self/fd")), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(MetricsError, match="can't start new thread"):
        Server()
    now = len(os.listdir("/proc/self/fd")), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert now == before
