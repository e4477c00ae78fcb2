# SPDX-License-Identifier: Apache-2.0
"""Whether the agent is well: one line of JSON, which curl, load balancers and people read."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Callable, Mapping

from tetrapy.json_codec import dumps
from tetrapy.metrics.http import Reply
from tetrapy.metrics.sources import Sources

PATH = "/healthz"
TIMEOUT = 30.0  # seconds without a turn of the main loop; it makes one every ten when idle

_KIND = "application/json"

Status = Callable[[], Mapping[str, object]]


class Health:
    """Answers 200 while the main loop turns, and 503 when it has not for too long.

    An agent that is still starting is well too, for as long.
    """

    def __init__(self, sources: Sources, status: Status, patience: float = TIMEOUT) -> None:
        """`status`: what the line says beside; see `status_of`."""
        self._sources = sources
        self._status = status
        self._patience = patience

    def __call__(self) -> Reply:
        """The reply of this moment."""
        still = time.monotonic() - self._sources.heartbeat()
        well = still < self._patience
        line = {"status": "ok" if well else "stalled", **self._status()}
        if not well:
            line["seconds_without_a_turn"] = round(still, 1)
        code = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        return Reply(_KIND, dumps(line) + b"\n", code)


def status_of(sources: Sources) -> Mapping[str, object]:
    """What the parts of the agent show at one look."""
    sensor, exporter = sources.sensor(), sources.exporter()
    records = sum(dict(sensor.losses).values()) + sensor.lost_in_socket
    skipped = sum(program.missed for program in sensor.programs)
    last = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(exporter.last)) if exporter.last else ""
    return {
        "sensor": sensor.name,
        "received": sensor.received,
        "exported": exporter.events,
        "lost_records": records + skipped,
        "lost_lines": exporter.lost_lines,
        "last_event": last,
    }
