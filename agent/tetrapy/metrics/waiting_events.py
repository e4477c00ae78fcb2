# SPDX-License-Identifier: Apache-2.0
"""Figures of events that wait for what is known of their containers (Tetragon's event cache)."""

from __future__ import annotations

from itertools import product
from typing import Iterator

from tetrapy.events.encoders import FORMATS
from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.family import Metric
from tetrapy.metrics.sources import Sources

TYPES = tuple(name.upper() for name in FORMATS)
INFORMATION = ("ancestors_info", "parent_info", "pod_info", "process_info")
_POD = "pod_info"  # the only one that is waited for
_PREFIX = "tetragon_event_cache_"


class WaitingEvents:
    """How many wait, have waited, and went without."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Of this moment."""
        waiting = self._sources.waiting()
        yield CATALOG[f"{_PREFIX}entries"].single(waiting.entries)
        yield CATALOG[f"{_PREFIX}inserts_total"].single(waiting.inserts)
        without = dict(waiting.without)
        yield CATALOG[f"{_PREFIX}fetch_failures_total"].of(
            ((entry, kind), without.get(kind, 0) if entry == _POD else 0)
            for entry, kind in product(INFORMATION, TYPES)
        )
