# SPDX-License-Identifier: Apache-2.0
"""What is served: the figures in Prometheus's text format at /metrics, health at /healthz."""

from __future__ import annotations

import socket
from typing import Callable, Dict, Iterable, Iterator, Optional

from tetrapy.config.address import Address
from tetrapy.metrics import health as health_module
from tetrapy.metrics import text
from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.former import with_former
from tetrapy.metrics.http import Answer, HttpServer, Reply
from tetrapy.metrics.listener import listen
from tetrapy.metrics.prometheus import Collector, CollectorRegistry, Metric

PATH = "/metrics"

_GATHERING, _ENCODING = "gathering", "encoding"

Log = Callable[..., None]


class Figures(Collector):
    """The reply at /metrics; it counts the requests that end in an error."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        self._errors: Dict[str, int] = {_ENCODING: 0, _GATHERING: 0}
        self._registry = CollectorRegistry()
        for collector in (*collectors, self):
            self._registry.register(collector)

    def collect(self) -> Iterator[Metric]:
        """Its own figure."""
        yield CATALOG["promhttp_metric_handler_errors_total"].by_label(self._errors)

    def __call__(self) -> Reply:
        """The reply of this moment."""
        stage = _GATHERING
        try:
            families = list(with_former(self._registry.collect()))
            stage = _ENCODING
            return Reply(text.CONTENT_TYPE, text.encode(families))
        except Exception:
            self._errors[stage] += 1
            raise


def serve(
    address: str, collectors: Iterable[Collector], log: Log, health: Optional[Answer] = None
) -> HttpServer:
    """Serve the figures of the collectors, and health where it is given, until it is closed.

    Raises MetricsError when nothing can listen at the address.
    """
    routes: Dict[str, Answer] = {PATH: Figures(collectors)}
    if health is not None:
        routes[health_module.PATH] = health
    listener = listen(Address.parse(address))
    log("info", "Starting metrics server", addr=_name(listener))
    return HttpServer(listener, routes, log)


def serve_health(address: str, health: Answer, log: Log) -> HttpServer:
    """Serve health alone, at an address of its own, until it is closed.

    Raises MetricsError when nothing can listen at the address.
    """
    listener = listen(Address.parse(address), "health")
    log("info", "Starting health server", addr=_name(listener))
    return HttpServer(listener, {health_module.PATH: health}, log, "health")


def _name(listener: socket.socket) -> str:
    return str(Address(*listener.getsockname()[:2]))
