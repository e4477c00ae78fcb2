# SPDX-License-Identifier: Apache-2.0
"""Metrics and health over HTTP. Imported by an agent that serves them, and by no other."""

from __future__ import annotations

import contextlib
from typing import Callable, List, Optional

from tetrapy.btf.source import BtfSource
from tetrapy.config.settings import Settings
from tetrapy.daemon.figures import (
    DispatcherFigures,
    PolicyFigures,
    container_figures,
    exporter_figures,
    handler_figures,
    sensor_figures,
    table_figures,
)
from tetrapy.daemon.loop import Loop
from tetrapy.daemon.policies import Policies
from tetrapy.daemon.start import node_name
from tetrapy.errors import MetricsError
from tetrapy.export.fanout import Count
from tetrapy.export.subscription import Subscription
from tetrapy.export.target import SinkTarget
from tetrapy.metrics.collectors import collectors
from tetrapy.metrics.counters import EventCounter, FlagCounter, enabled_labels
from tetrapy.metrics.health import Health, status_of
from tetrapy.metrics.http import HttpServer
from tetrapy.metrics.server import serve, serve_health
from tetrapy.metrics.sources import Sources
from tetrapy.process.details import Details
from tetrapy.sensors.source import EventSource

Log = Callable[..., None]


class MetricsServer:
    """What is counted, what tells of it, and the servers."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log
        self._sources = Sources()
        self._flags = FlagCounter()
        self._events: Optional[EventCounter] = None
        if settings.enable_event_metrics:
            labels = enabled_labels(settings.metrics_label_filter)
            self._events = EventCounter(labels, node_name())

    @property
    def counters(self) -> List[Count]:
        """What is to be reported each batch of events."""
        if not self._settings.metrics_server:
            return []
        events = [] if self._events is None else [self._events.count]
        return [self._flags.count, *events]

    def start(self, source: BtfSource, acquired: contextlib.ExitStack) -> None:
        """Listen. What cannot listen is logged: the agent does not depend on it, as Tetragon."""
        settings, sources = self._settings, self._sources
        health = Health(sources, lambda: status_of(sources))
        if settings.metrics_server:
            found = collectors(source, sources, self._flags, self._events)
            self._begin(
                lambda: serve(settings.metrics_server, found, self._log, health),
                "Failed to start metrics server",
                acquired,
            )
        if settings.healthz_address:
            self._begin(
                lambda: serve_health(settings.healthz_address, health, self._log),
                "Failed to start health server",
                acquired,
            )

    def _begin(
        self, begin: Callable[[], HttpServer], failure: str, acquired: contextlib.ExitStack
    ) -> None:
        try:
            acquired.callback(begin().close)
        except MetricsError as err:
            self._log("error", failure, error=str(err))

    def watch(
        self,
        sensor: EventSource,
        loop: Loop,
        subscription: Subscription,
        target: SinkTarget,
        details: Optional[Details],
        policies: Policies,
        lost_to_clients: Callable[[], int],
    ) -> None:
        """From now on the figures are those of these parts."""
        sources = self._sources
        sources.sensor = lambda: sensor_figures(sensor, loop)
        sources.table = lambda: table_figures(loop.table)
        sources.exporter = lambda: exporter_figures(subscription, target, lost_to_clients())
        sources.policies = PolicyFigures(policies, loop)
        sources.containers = lambda: container_figures(loop)
        sources.heartbeat = lambda: loop.heartbeat
        handler = loop.handler
        dispatcher, reassembly = handler.dispatcher, handler.reassembly
        if dispatcher is not None and reassembly is not None:
            timed = self._settings.enable_msg_handling_latency
            sources.dispatcher = DispatcherFigures(dispatcher, reassembly, details, timed)
        else:
            sources.dispatcher = lambda: handler_figures(handler)
