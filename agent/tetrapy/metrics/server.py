# SPDX-License-Identifier: Apache-2.0
"""What is served: the figures in Prometheus's text format at /metrics, health at /healthz.

The socket listens where a setting says.
"""

from __future__ import annotations

import errno
import socket
from typing import Callable, Dict, Iterable, Iterator, List, Optional

from tetrapy.config.address import Address
from tetrapy.errors import MetricsError
from tetrapy.metrics import health as health_module
from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.deprecated_names import with_deprecated
from tetrapy.metrics.family import CONTENT_TYPE, Collector, Metric, encode
from tetrapy.metrics.http import Answer, HttpServer, Reply

PATH = "/metrics"

_GATHERING, _ENCODING = "gathering", "encoding"

# What is served -> the setting that says where.
_SETTINGS = {"metrics": "--metrics-server", "health": "--healthz-address"}

# What a machine without this family of addresses says.
_NOT_HERE = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})

Log = Callable[..., None]


class Figures:
    """The reply at /metrics; it counts the requests that end in an error."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        self._errors: Dict[str, int] = {_ENCODING: 0, _GATHERING: 0}
        self._collectors: List[Collector] = [*collectors, self]

    def collect(self) -> Iterator[Metric]:
        """How often making a reply has failed."""
        yield CATALOG["promhttp_metric_handler_errors_total"].by_label(self._errors)

    def __call__(self) -> Reply:
        """The reply of this moment."""
        stage = _GATHERING
        try:
            metrics = list(with_deprecated(self._collected()))
            stage = _ENCODING
            return Reply(CONTENT_TYPE, encode(metrics))
        except Exception:
            self._errors[stage] += 1
            raise

    def _collected(self) -> Iterator[Metric]:
        for collector in self._collectors:
            yield from collector.collect()


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


def listen(address: Address, what: str = "metrics") -> socket.socket:
    """A listening TCP socket; `what` it is for is reported when there can be none.

    Without a host: every address of the machine, IPv6 and IPv4, as Go does. Of a name's addresses
    the first that this machine has, IPv4 before IPv6. Raises MetricsError naming the address.
    """
    preferred = socket.AF_INET if address.host else socket.AF_INET6
    try:
        # As bytes, or Python would load its tables of international names.
        host = address.host.encode() or None
        found = socket.getaddrinfo(
            host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as err:
        raise _refused(what, address, err) from err
    refusal = OSError(errno.EADDRNOTAVAIL, "the name has no address")
    for family, _, _, _, place in sorted(found, key=lambda one: one[0] != preferred):
        try:
            return _bound(socket.AddressFamily(family), place)
        except OSError as err:
            refusal = err
            if err.errno not in _NOT_HERE:
                break
    raise _refused(what, address, refusal) from refusal


def _bound(family: socket.AddressFamily, place: object) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(place)  # type: ignore[arg-type] # what getaddrinfo calls an address
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _refused(what: str, address: Address, err: OSError) -> MetricsError:
    return MetricsError(
        f"{what} cannot be served at {address}: {err.strerror}; give {_SETTINGS[what]} an address"
        " of this machine and a port that is free"
    )
