# SPDX-License-Identifier: Apache-2.0
"""The metrics of containers: what runtimes were asked, and the events that wait for it.

Events that wait are in Tetragon's event cache.
"""

from __future__ import annotations

from itertools import product
from typing import Iterator, Tuple

from tetrapy.events.encoders import FORMATS
from tetrapy.metrics.family import COUNTER, GAUGE, Family, Metric
from tetrapy.metrics.sources import Sources

_ENTRIES = Family("tetragon_event_cache_entries", GAUGE, "Events that wait for their containers")
_INSERTS = Family(
    "tetragon_event_cache_inserts_total", COUNTER, "Events that had to wait for their containers"
)
_FAILURES = Family(
    "tetragon_event_cache_fetch_failures_total",
    COUNTER,
    "Events that waited in vain",
    ("entry_type", "event_type"),
)
_LOOKUPS = Family(
    "tetrapy_container_lookups_total",
    COUNTER,
    "Containers that runtimes were asked for, by what became of it; `refused`: too many waited",
    ("outcome",),
)
FAMILIES: Tuple[Family, ...] = (
    _ENTRIES,
    _INSERTS,
    Family(
        "tetragon_event_cache_errors_total",
        COUNTER,
        "Errors of waiting events; there are none",
        ("error", "event_type"),
    ),
    _FAILURES,
    Family(
        "tetragon_event_cache_fetch_retries_total",
        COUNTER,
        "Looks for the information of waiting events; each container is looked for once",
        ("entry_type",),
    ),
    _LOOKUPS,
)

TYPES = tuple(name.upper() for name in FORMATS)
INFORMATION = ("ancestors_info", "parent_info", "pod_info", "process_info")
OUTCOMES = ("found", "refused", "unknown")
_POD = "pod_info"  # the only one that is waited for


class Containers:
    """Containers, and events that wait for what is known of them."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """How many wait, have waited, and went without; how often runtimes were asked."""
        found = self._sources.containers()
        yield _ENTRIES.single(found.entries)
        yield _INSERTS.single(found.inserts)
        without = dict(found.without)
        yield _FAILURES.of(
            ((entry, kind), without.get(kind, 0) if entry == _POD else 0)
            for entry, kind in product(INFORMATION, TYPES)
        )
        yield _LOOKUPS.by_label({**dict.fromkeys(OUTCOMES, 0), **found.lookups})
