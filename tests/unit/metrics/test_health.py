# SPDX-License-Identifier: Apache-2.0
"""/healthz: beside the metrics and at an address of its own, well and stalled."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tests.support.agent_run import Recorder
from tests.support.metrics_server import HERE, Server, fetch
from tests.unit.metrics.metrics_sources import busy
from tetrapy.config.address import Address
from tetrapy.errors import MetricsError
from tetrapy.metrics import http
from tetrapy.metrics.health import TIMEOUT, Health, status_of
from tetrapy.metrics.server import listen, serve_health
from tetrapy.metrics.sources import Sources

FOREVER = 1e9  # seconds


def answer(health: Health) -> tuple[int, dict[str, object]]:
    reply = health()
    assert reply.kind == "application/json"
    assert reply.body.count(b"\n") == 1
    return reply.status, json.loads(reply.body)


def test_an_agent_that_turns() -> None:
    """200, and what the callable says, on one line."""
    sources = busy()
    sources.heartbeat = time.monotonic
    status = answer(Health(sources, lambda: {"events_per_second": 12.5}, FOREVER))
    assert status == (200, {"status": "ok", "events_per_second": 12.5})


def test_an_agent_whose_loop_stands_still() -> None:
    """503, and for how long."""
    sources = busy()
    sources.heartbeat = lambda: time.monotonic() - 2 * FOREVER
    code, line = answer(Health(sources, dict, FOREVER))
    assert code == 503
    assert line.pop("seconds_without_a_turn") >= 2 * FOREVER
    assert line == {"status": "stalled"}


def test_an_agent_that_starts() -> None:
    """It is well for as long as one whose loop has just turned."""
    sources = Sources()
    assert time.monotonic() - sources.heartbeat() < FOREVER
    assert answer(Health(sources, dict, FOREVER))[0] == 200
    assert answer(Health(sources, dict, 0.0))[0] == 503
    assert TIMEOUT >= 3 * 10  # an idle loop turns every ten seconds


def test_what_the_parts_say() -> None:
    """Sensor, figures, losses of both kinds (skipped programs among them), and the last event."""
    assert status_of(busy()) == {
        "sensor": "ebpf",
        "received": 1001,
        "exported": 61,
        "lost_records": 11 + 12 + 13 + 14 + 15 + 16 + 20,
        "lost_lines": 66,
        "last_event": "2023-11-14T22:13:20Z",
    }
    assert status_of(Sources())["last_event"] == ""


def test_beside_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """One server answers both paths; without health there is none."""
    monkeypatch.setattr(http, "KEPT", 0.0)
    sources = busy()
    sources.heartbeat = time.monotonic
    serving = Server(health=Health(sources, dict, FOREVER))
    try:
        assert serving.get("/healthz") == (200, "application/json", '{"status":"ok"}\n')
        sources.heartbeat = lambda: time.monotonic() - 2 * FOREVER
        assert serving.get("/healthz")[0] == 503
        assert serving.get()[0] == 200
    finally:
        serving.server.close()
    serving = Server()
    try:
        assert serving.get("/healthz")[0] == 404
    finally:
        serving.server.close()


def test_at_an_address_of_its_own() -> None:
    """It serves health alone, in a thread that is called so."""
    log = Recorder()
    server = serve_health(HERE, Health(Sources(), dict, FOREVER), log)
    try:
        address = Address.parse(log.keys_of("Starting health server")["addr"])
        assert fetch(address, "/healthz")[0] == 200
        assert fetch(address, "/metrics")[0] == 404
        assert "health" in {thread.name for thread in threading.enumerate()}
    finally:
        server.close()


def test_an_address_that_is_taken() -> None:
    """The error names the setting of this server."""
    with listen(Address.parse(HERE)) as taken:
        address = str(Address(*taken.getsockname()))
        with pytest.raises(MetricsError) as refused:
            serve_health(address, Health(Sources(), dict), Recorder())
    assert f"health cannot be served at {address}" in str(refused.value)
    assert "--healthz-address" in str(refused.value)


def test_a_status_that_cannot_be_had() -> None:
    """It is an error of this request."""
    serving = Server(health=Health(Sources(), lambda: {"x": object()}, FOREVER))
    try:
        assert serving.get("/healthz")[0] == 500
    finally:
        serving.server.close()
    assert serving.log.keys_of("HTTP request cannot be answered")["path"] == "/healthz"
