"""The metrics server: collectors -> Prometheus's text format at /metrics."""

from __future__ import annotations

from typing import Callable, Iterable, Tuple

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from tetrapy.config.address import Address
from tetrapy.metrics.http import HttpServer
from tetrapy.metrics.listener import listen

PATH = "/metrics"

Log = Callable[..., None]


def serve(address: str, collectors: Iterable[Collector], log: Log) -> HttpServer:
    """Serve the figures of the collectors until the server is closed.

    Raises MetricsError when nothing can listen at the address.
    """
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)

    def answer() -> Tuple[str, bytes]:
        return CONTENT_TYPE_LATEST, generate_latest(registry)

    listener = listen(Address.parse(address))
    host, port = listener.getsockname()[:2]
    log("info", "Starting metrics server", addr=str(Address(host, port)))
    return HttpServer(listener, {PATH: answer}, log)
