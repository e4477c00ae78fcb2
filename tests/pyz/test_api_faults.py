# SPDX-License-Identifier: Apache-2.0
"""What clients of the API can do to the agent: nothing but use what is theirs."""

from __future__ import annotations

import gzip
import os
import random
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import Agent, until
from tests.support.api_client import Client
from tetrapy.api import grpc
from tetrapy.api.connection import Connection, ConnectionLostError
from tetrapy.api.wire import BYTES, tag

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.pyz, pytest.mark.kernel]

EVENTS = "/tetragon.FineGuidanceSensors/GetEvents"
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def path() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="tapi-") as directory:
        yield f"{directory}/s"


@pytest.fixture(scope="module")
def agent(path: str) -> Iterator[Agent]:
    flags = ["--server-address", f"unix://{path}", "--event-queue-size", "300"]
    with Agent(Path(path).parent / "agent", *flags) as one:
        yield one.started()


def connected(path: str) -> socket.socket:
    one = socket.socket(socket.AF_UNIX)
    one.connect(path)
    one.settimeout(30)
    return one


def resident(agent: Agent) -> int:
    """Bytes."""
    line = next(
        line
        for line in Path(f"/proc/{agent.pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return int(line.split()[1]) * 1024


def serves(path: str) -> None:
    with Client(f"unix:{path}") as client:
        assert client.call("GetVersion")


def test_a_client_that_never_reads(agent: Agent, path: str) -> None:
    """It loses events, alone, within bounds; another and the file have all of them."""
    serves(path)
    before = resident(agent)
    # Its socket's buffer and windows take some; then its queue fills.
    stuck = connected(path)
    client = Connection(client=True)
    call = client.call(EVENTS, {})
    call.send(grpc.frame(b""))
    call.half_close()
    stuck.sendall(client.outgoing)
    with Client(f"unix:{path}") as other:
        stream = other.events({"allow_list": [{"arguments_regex": ["^storm-"]}]})
        count = 3000
        words = f'i=0; while [ $i -lt {count} ]; do /bin/true "storm-$i"; i=$((i+1)); done'
        subprocess.run(["/bin/sh", "-c", words], check=True)
        last = f"storm-{count - 1}"
        told = stream.until(
            lambda one: one.get("process_exit", {}).get("process", {}).get("arguments") == last
        )
        stream.cancel()
    assert len([one for one in told if "process_exec" in one]) == count
    agent.fence()
    assert len([line for line in agent.lines() if b'"arguments":"storm-' in line]) == 2 * count
    agent.wait_for_log("A client reads too slowly, events are lost to it")
    assert resident(agent) - before < 40 * MEGABYTE
    # It goes on: what it lost is told to it.
    client.sent(len(client.outgoing))
    seen: list[bytes] = []
    call.on_message = seen.append
    told_of_loss = tag(40001, BYTES)  # rate_limit_info
    while not any(told_of_loss in one for one in seen):
        client.receive(stuck.recv(65536))
        stuck.sendall(client.outgoing)
        client.sent(len(client.outgoing))
    stuck.close()


def test_a_client_that_is_gone(agent: Agent, path: str) -> None:
    """It leaves without having read what came: the connection is reset under the stream."""
    before = len(agent.log)
    for number in range(20):
        one = connected(path)
        client = Connection(client=True)
        call = client.call(EVENTS, {})
        call.send(grpc.frame(b""))
        call.half_close()
        one.sendall(client.outgoing)
        assert one.recv(1)
        subprocess.run(["/bin/true", f"gone-{number}"], check=True)
        one.close()  # with bytes that were not read: ECONNRESET at the other end
    serves(path)
    agent.fence()
    assert len([line for line in agent.lines() if b'"arguments":"gone-' in line]) == 40
    log = agent.log[before:]
    assert log.count("A client of the API is gone") >= 20
    assert "a defect" not in log


def test_malformed_bytes(agent: Agent, path: str) -> None:
    """Random ones, and real conversations with bytes changed; every time the agent goes on."""
    random_ = random.Random(7)
    serves(path)
    before = resident(agent)
    for number in range(300):
        client = Connection(client=True)
        call = client.call(EVENTS, {"x": "y" * random_.randrange(3000)})
        call.send(grpc.frame(bytes(random_.randrange(200))))
        call.half_close()
        data = bytearray(client.outgoing)
        for _ in range(random_.randrange(1, 20)):
            data[random_.randrange(0 if number % 3 else 24, len(data))] = random_.randrange(256)
        if not number % 4:
            data += random_.randbytes(random_.randrange(20_000))
        with connected(path) as one:
            try:
                one.sendall(data)
                if number % 2:
                    one.shutdown(socket.SHUT_WR)
                    while one.recv(65536):
                        pass
            except (BrokenPipeError, ConnectionResetError):
                pass
    serves(path)
    agent.fence()
    assert resident(agent) - before < 10 * MEGABYTE
    assert "a defect" not in agent.log
    assert "A call of the API failed" not in agent.log


def test_bombs_and_huge_requests(agent: Agent, path: str) -> None:
    """What would be large once decompressed, or never becomes whole, is refused."""
    serves(path)
    before = resident(agent)
    bomb = gzip.compress(bytes(500 * MEGABYTE), 9)
    whole = b"\1" + len(bomb).to_bytes(4, "big") + bomb
    endless = grpc.frame(bytes(3 * MEGABYTE))[: 2 * MEGABYTE]
    sockets = []
    for data, encoding in ((whole, "gzip"), *[(endless, "identity")] * 12):
        one = connected(path)
        sockets.append(one)
        client = Connection(client=True)
        call = client.call(EVENTS, {"grpc-encoding": encoding})
        ended: list[grpc.Status] = []
        call.on_closed = ended.append
        call.send(data)
        if encoding == "gzip":
            call.half_close()
        one.settimeout(1)
        try:
            while not ended and (client.outgoing or encoding == "gzip"):
                one.sendall(client.outgoing)
                client.sent(len(client.outgoing))
                client.receive(one.recv(65536))
        except (TimeoutError, ConnectionLostError):
            pass
        if encoding == "gzip":
            assert ended[0].code == grpc.RESOURCE_EXHAUSTED
    assert resident(agent) - before < 40 * MEGABYTE
    for one in sockets:
        one.close()
    serves(path)


def test_rapid_resets_and_many_connections(agent: Agent, path: str) -> None:
    """The one is cut off, the others give way to each other; who comes then is served."""
    with connected(path) as one, pytest.raises((ConnectionError, ConnectionLostError)):
        cancel_often(one)
    agent.wait_for_log("cancelled at once")
    silent = [connected(path) for _ in range(100)]
    serves(path)
    for one in silent:
        one.close()
    until(lambda: descriptors(agent) < 60, "descriptors that are given back")
    agent.fence()


def cancel_often(one: socket.socket) -> None:
    client = Connection(client=True)
    for _ in range(3000):
        client.call(EVENTS, {}).cancel()
        one.sendall(client.outgoing)
        client.sent(len(client.outgoing))
        try:
            one.settimeout(0)
            data = one.recv(65536)
        except BlockingIOError:
            continue
        finally:
            one.settimeout(30)
        if not data:
            raise ConnectionResetError
        client.receive(data)


def descriptors(agent: Agent) -> int:
    return len(os.listdir(f"/proc/{agent.pid}/fd"))
