# SPDX-License-Identifier: Apache-2.0
"""A metrics server in the test's own process, and a reader of it."""

from __future__ import annotations

import http.client
import socket

from tests.support.agent_run import Recorder
from tetrapy.btf.source import KIND_INFERRED, BtfSource
from tetrapy.config.address import Address
from tetrapy.metrics.collectors import About
from tetrapy.metrics.family import Collector
from tetrapy.metrics.http import Answer
from tetrapy.metrics.server import serve

INFERRED = BtfSource(KIND_INFERRED, "inferred from debian/12/x86_64/6.1.0-18-amd64", b"")
HERE = "127.0.0.1:0"


class Server:
    """A server in this process."""

    def __init__(self, *collectors: Collector, health: Answer | None = None) -> None:
        self.log = Recorder()
        self.server = serve(HERE, collectors or [About(INFERRED)], self.log, health)
        self.address = Address.parse(self.log.keys_of("Starting metrics server")["addr"])

    def connect(self) -> socket.socket:
        return socket.create_connection((self.address.host, self.address.port), timeout=60)

    def say(self, request: bytes) -> bytes:
        """Everything that comes back for these bytes."""
        with self.connect() as peer:
            peer.sendall(request)
            return b"".join(iter(lambda: peer.recv(65536), b""))

    def get(self, path: str = "/metrics", method: str = "GET") -> tuple[int, str, str]:
        return fetch(self.address, path, method)


def fetch(address: Address, path: str = "/metrics", method: str = "GET") -> tuple[int, str, str]:
    """Status, content type and body, as Python's own client reads them."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=60)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        kind = response.headers["Content-Type"]
        return response.status, kind, response.read().decode()
    finally:
        connection.close()
