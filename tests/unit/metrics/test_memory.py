# SPDX-License-Identifier: Apache-2.0
"""What an agent that serves metrics takes into memory: no library, and no server of Python's."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT

AGENT = ROOT / "agent"

UNWANTED = {"ssl", "wsgiref", "http.server", "http.client", "socketserver", "urllib", "email"}
UNWANTED |= {"gzip", "asyncio", "inspect", "prometheus_client"}

SERVE = """
import sys
from tetrapy.btf.source import BtfSource
from tetrapy.metrics.collectors import collectors
from tetrapy.metrics.counters import EventCounter, FlagCounter
from tetrapy.metrics.health import Health, status_of
from tetrapy.metrics.server import serve
from tetrapy.metrics.sources import Sources

sources = Sources()
listed = collectors(BtfSource("kernel", ""), sources, FlagCounter(), EventCounter(frozenset(), ""))
health = Health(sources, lambda: status_of(sources))
addresses = []
server = serve("127.0.0.1:0", listed, lambda *_, addr: addresses.append(addr), health)

import socket
with socket.create_connection(addresses[0].split(":")) as peer:
    peer.sendall(b"GET /metrics HTTP/1.1\\r\\nAccept-Encoding: gzip\\r\\n\\r\\n")
    assert peer.recv(15) == b"HTTP/1.1 200 OK"
print(*sys.modules)
"""


def run(program: str) -> set[str]:
    """The words that a new Python says."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(AGENT), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return set(done.stdout.split())


def test_serving_needs_no_server_of_others() -> None:
    """Nor what they bring: 10 MB that the agent would not use."""
    modules = run(SERVE)
    assert "tetrapy.metrics.http" in modules
    assert modules & UNWANTED == set()


def test_a_python_without_ssl_serves_too() -> None:
    """As it does not use it."""
    assert "tetrapy.metrics.http" in run("import sys; sys.modules['ssl'] = None\n" + SERVE)
