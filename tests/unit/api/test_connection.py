# SPDX-License-Identifier: Apache-2.0
"""Two ends of a connection, and what a peer can do to one."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tetrapy.api import grpc
from tetrapy.api.call import Call
from tetrapy.api.connection import Allowance, Connection, ConnectionLostError
from tetrapy.api.grpc import Status, frame
from tetrapy.api.limits import HIGH, MAX_OUTGOING

PATH = "/tetragon.FineGuidanceSensors/GetVersion"


class Pair:
    """A client and a server; the server answers `again` times what it is sent."""

    def __init__(self, again: int = 1, status: Any = None, allowance: Any = None) -> None:
        self.again, self.status = again, status or Status(0)
        self.calls: list[Call] = []
        self.closed: list[Status] = []
        self.client = Connection(client=True)
        self.server = Connection(False, self._on_call, allowance)

    def _on_call(self, call: Call) -> None:
        self.calls.append(call)
        got: list[bytes] = []
        call.on_message = got.append
        call.on_closed = self.closed.append

        def answer() -> None:
            for message in got:
                call.send(frame(message) * self.again)
            call.finish(self.status)

        call.on_half_closed = answer

    def begin(self, message: bytes = b"x", **metadata: str) -> tuple[Call, list[Any]]:
        call = self.client.call(PATH, dict(metadata))
        got: list[Any] = []
        call.on_message = got.append
        call.on_closed = got.append
        call.send(frame(message))
        call.half_close()
        return call, got

    def move(self) -> bool:
        moved = False
        for one, other in ((self.client, self.server), (self.server, self.client)):
            data = bytes(one.outgoing)
            one.sent(len(data))
            if data:
                other.receive(data)
                moved = True
        return moved

    def settle(self) -> None:
        while self.move():
            pass


@pytest.mark.parametrize("size", [0, 1, 16_384, 70_000, 1_000_000])
@pytest.mark.parametrize("again", [1, 3])
def test_messages_go_both_ways(size: int, again: int) -> None:
    """Of any size, over windows and frames, and the status behind them."""
    pair = Pair(again)
    _, got = pair.begin(b"m" * size)
    pair.settle()
    assert [len(one) for one in got[:-1]] == [size] * again
    assert got[-1] == Status(0)
    assert not pair.client.calls
    assert not pair.server.calls


def test_a_status_has_any_text() -> None:
    """Percent signs, line ends and other scripts."""
    status = Status(grpc.NOT_FOUND, 'no "100%"\nüber \u8ddf ✓')
    pair = Pair(0, status)
    _, got = pair.begin()
    pair.settle()
    assert got == [status]


def test_metadata_of_six_kilobytes() -> None:
    """Is taken; what is beyond the limit ends the connection."""
    pair = Pair()
    _, got = pair.begin(token="t" * 6000)
    pair.settle()
    assert got == [b"x", Status(0)]
    assert pair.calls[0].headers["token"] == "t" * 6000
    pair.begin(token="t" * 60_000)
    with pytest.raises(ConnectionLostError):
        pair.settle()


def test_a_ping_comes_back() -> None:
    """With its own eight bytes, as clients ask for that keep connections alive."""
    pair = Pair()
    pair.settle()
    pair.server.receive(b"\0\0\x08\x06\0\0\0\0\0pingping")
    assert bytes(pair.server.outgoing) == b"\0\0\x08\x06\x01\0\0\0\0pingping"


def test_what_a_peer_does_not_read_waits() -> None:
    """No more than the high mark is on its way, the rest in the call."""
    pair = Pair(1000)
    pair.begin(b"m" * 10_000)
    pair.server.receive(bytes(pair.client.outgoing))
    assert len(pair.server.outgoing) < HIGH + 70_000
    assert pair.calls[0].waiting_bytes > 9_000_000


def test_a_cancelled_call_ends_at_both_ends() -> None:
    """And what waited for it is let go."""
    pair = Pair(1000)
    call, got = pair.begin(b"m" * 10_000)
    pair.server.receive(bytes(pair.client.outgoing))
    pair.client.sent(len(pair.client.outgoing))
    call.cancel()
    pair.settle()
    assert [one.code for one in pair.closed] == [grpc.CANCELLED]
    assert pair.calls[0].waiting_bytes == 0
    assert not [one for one in got if isinstance(one, Status)]


def test_a_deadline_ends_a_call() -> None:
    """At the client with its own clock, at the server with what the client said."""
    pair = Pair()
    call = pair.client.call(PATH, {}, timeout=5.0)
    ended: list[Status] = []
    call.on_closed = ended.append
    pair.settle()
    assert pair.calls[0].headers["grpc-timeout"] == "5000m"
    deadline = pair.calls[0].deadline
    assert deadline is not None
    pair.server.expire(deadline - 1)
    assert not pair.closed
    pair.server.expire(deadline + 1)
    pair.settle()
    assert [one.code for one in pair.closed + ended] == [grpc.DEADLINE_EXCEEDED] * 2


def test_gzip_and_bombs() -> None:
    """A compressed request is read; one that would be larger than a request may be is not."""
    for content, code in ((b"hello", 0), (bytes(50 << 20), grpc.RESOURCE_EXHAUSTED)):
        pair = Pair()
        call = pair.client.call(PATH, {"grpc-encoding": "gzip"})
        got: list[Any] = []
        call.on_message = call.on_closed = got.append
        data = gzip.compress(content)
        call.send(b"\1" + len(data).to_bytes(4, "big") + data)
        call.half_close()
        pair.settle()
        assert got[-1].code == code
        assert got[:-1] == ([content] if not code else [])


def test_an_unknown_encoding_is_refused() -> None:
    """With the status that gRPC has for it."""
    pair = Pair()
    _, got = pair.begin(**{"grpc-encoding": "snappy"})
    pair.settle()
    assert got[-1].code == grpc.UNIMPLEMENTED


def test_requests_that_are_not_whole_share_an_allowance() -> None:
    """And give it back when they end."""
    allowance = Allowance(50_000)
    pair = Pair(allowance=allowance)
    calls = [pair.client.call(PATH, {}) for _ in range(3)]
    ended: list[Status] = []
    for call in calls:
        call.on_closed = ended.append
        call.send(frame(bytes(100_000))[:30_000])
        pair.settle()
    assert [one.code for one in ended] == [grpc.RESOURCE_EXHAUSTED] * 2
    calls[0].cancel()
    pair.settle()
    assert allowance.left == 50_000


def flood(frames: bytes, often: int) -> None:
    pair = Pair()
    pair.settle()
    for _ in range(often):
        pair.server.receive(frames)


@pytest.mark.parametrize(
    "frames",
    [
        b"\0\0\x08\x06\0\0\0\0\0pingping",  # PING
        b"\0\0\0\x04\0\0\0\0\0",  # SETTINGS
        b"\0\0\x05\x02\0\0\0\0\x01\0\0\0\0\0",  # PRIORITY
        b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01",  # WINDOW_UPDATE
    ],
)
def test_floods_end_the_connection(frames: bytes) -> None:
    """Of frames that cost work and bring nothing; a few are fine."""
    flood(frames, 50)
    with pytest.raises(ConnectionLostError):
        flood(frames, 30_000)


def test_rapid_resets_end_the_connection() -> None:
    """Of calls that are made to be cancelled."""
    pair = Pair()

    def storm() -> None:
        for _ in range(1000):
            pair.client.call(PATH, {}).cancel()
            pair.settle()

    with pytest.raises(ConnectionLostError, match="cancelled at once"):
        storm()
    assert not pair.server.calls


def test_a_peer_that_reads_no_answers_is_given_up() -> None:
    """What waits for it has a bound."""
    server = Pair().server
    client = Connection(client=True)
    client.receive(bytes(server.outgoing))
    server.receive(bytes(client.outgoing))

    def storm() -> None:
        for number in range(1, 200_000, 2):
            # A request for no path at all, complete in its head.
            server.receive(b"\0\0\x01\x01\x05" + number.to_bytes(4, "big") + b"\x83")

    with pytest.raises(ConnectionLostError):
        storm()
    assert len(server.outgoing) <= MAX_OUTGOING + 100_000


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8), st.booleans())
def test_any_bytes_are_taken_or_end_the_connection(parts: list[bytes], begun: bool) -> None:
    """Nothing else is raised, whatever a peer sends."""
    pair = Pair()
    if begun:
        pair.begin()
        pair.settle()
    else:
        pair.server = Connection(client=False, on_call=pair.calls.append)
    try:
        for part in parts:
            pair.server.receive(part)
    except ConnectionLostError:
        assert not pair.server.calls


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_frames_are_taken_or_end_the_connection(data: Any) -> None:
    """A real conversation in which bytes are changed."""
    pair = Pair()
    pair.begin(b"m" * 100)
    bytes_ = bytearray(pair.client.outgoing)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(24, len(bytes_) - 1))
        bytes_[at] = data.draw(st.integers(0, 255))
    try:
        pair.server.receive(bytes(bytes_))
    except ConnectionLostError:
        assert not pair.server.calls


@pytest.mark.parametrize("text", ["", "5", "m", "123456789m", "-1S", "1d", "1.5S"])
def test_timeouts_that_are_none(text: str) -> None:
    """Are refused."""
    with pytest.raises(grpc.RpcError):
        grpc.parse_timeout(text)


def test_timeouts() -> None:
    """In gRPC's units, eight digits at most."""
    assert grpc.parse_timeout("1H") == 3600
    assert grpc.parse_timeout("250m") == 0.25
    assert grpc.parse_timeout(grpc.timeout_text(1e6)) == 1e6
    assert grpc.timeout_text(0.0001) == "1m"
