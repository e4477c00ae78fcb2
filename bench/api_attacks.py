# SPDX-License-Identifier: Apache-2.0
"""What hostile clients do to the API, each kind once: bench.api_soak does it again and again."""

from __future__ import annotations

import gzip
import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping

from tools.fetch import ROOT

sys.path.insert(0, str(ROOT / "agent"))

from tetrapy.api import grpc
from tetrapy.api.connection import Connection, ConnectionLostError

EVENTS = "/tetragon.FineGuidanceSensors/GetEvents"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BOMB = gzip.compress(bytes(200 << 20), 9)
HEADERS, RESET, SETTINGS, PING, CONTINUATION = 1, 3, 4, 6, 9  # types of frames

_chance = random.Random()  # noqa: S311 - nothing is to be kept secret

Connect = Callable[[], socket.socket]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def subscribed(metadata: Mapping[str, str] | None = None, message: bytes = b"") -> Connection:
    """A conversation that asks for events, as bytes to be sent."""
    client = Connection(client=True)
    call = client.call(EVENTS, dict(metadata or {}))
    call.send(grpc.frame(message))
    call.half_close()
    return client


def malformed(connect: Connect) -> None:
    """A conversation with bytes changed, and rubbish behind it."""
    data = bytearray(subscribed({"x": "y" * _chance.randrange(3000)}).outgoing)
    for _ in range(_chance.randrange(1, 20)):
        data[_chance.randrange(len(data))] = _chance.randrange(256)
    with connect() as one:
        one.sendall(data + _chance.randbytes(_chance.randrange(20_000)))
        one.shutdown(socket.SHUT_WR)
        while one.recv(65536):
            pass


def endless_headers(connect: Connect) -> None:
    """Headers that never end."""
    with connect() as one:
        one.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, 0, 1, b"\0\1a\1b" * 1000))
        for _ in range(200):
            one.sendall(frame(CONTINUATION, 0, 1, b"\0\1a\1b" * 4000))


def connections(connect: Connect) -> None:
    """Many that say nothing, all at once."""
    held: list[socket.socket] = []
    try:
        held.extend(connect() for _ in range(200))
    finally:
        for one in held:
            one.close()


def rapid_resets(connect: Connect) -> None:
    """Calls that are cancelled at once."""
    with connect() as one:
        client = Connection(client=True)
        for _ in range(2000):
            client.call(EVENTS, {}).cancel()
            one.sendall(client.outgoing)
            client.sent(len(client.outgoing))


def half_open(connect: Connect) -> None:
    """A conversation that stops in the middle, and is not closed."""
    data = bytes(subscribed().outgoing)
    with connect() as one:
        one.sendall(data[: _chance.randrange(1, len(data))])
        time.sleep(0.5)


def never_reading(connect: Connect) -> None:
    """Events are asked for, and not read."""
    with connect() as one:
        one.sendall(subscribed().outgoing)
        time.sleep(3)


def bombs(connect: Connect) -> None:
    """A request that is 200 MB when it is decompressed."""
    client = Connection(client=True)
    ended: list[grpc.Status] = []
    call = client.call(EVENTS, {"grpc-encoding": "gzip"})
    call.on_closed = ended.append
    call.send(b"\1" + len(BOMB).to_bytes(4, "big") + BOMB)
    call.half_close()
    with connect() as one:
        try:
            while not ended:
                one.sendall(client.outgoing)
                client.sent(len(client.outgoing))
                data = one.recv(65536)
                if not data:
                    return
                client.receive(data)
        except ConnectionLostError:
            return


def pings(connect: Connect) -> None:
    """Frames that want an answer and bring nothing."""
    with connect() as one:
        one.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
        for _ in range(2000):
            one.sendall(frame(PING, 0, 0, bytes(8)) * 50)


ATTACKS: tuple[Callable[[Connect], None], ...] = (
    malformed,
    endless_headers,
    connections,
    rapid_resets,
    half_open,
    never_reading,
    bombs,
    pings,
)
