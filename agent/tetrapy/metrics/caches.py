# SPDX-License-Identifier: Apache-2.0
"""What the agent keeps: the process table, and long arguments that wait for their exec."""

from __future__ import annotations

from typing import Iterator

from tetrapy.metrics import zero
from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.prometheus import Collector, Metric
from tetrapy.metrics.sources import Cache, Sources
from tetrapy.sensors.pieces import SIZE_BOUNDS


class Caches(Collector):
    """Sizes and misses."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Those of both."""
        table = self._sources.table
        yield from _cache("tetragon_process_cache", table)
        yield CATALOG["tetragon_process_cache_early_deletions_total"].single(table.early_deletions)
        yield CATALOG["tetragon_events_missing_process_info_total"].single(table.unknown_processes)
        yield CATALOG["tetrapy_process_cache_bytes"].single(table.bytes)
        yield CATALOG["tetrapy_process_cache_cuts_total"].single(table.cuts)
        pieces = self._sources.dispatcher.pieces
        yield from _cache("tetragon_data_cache", pieces)
        yield CATALOG["tetragon_data_events_total"].by_label(
            {**dict.fromkeys(zero.DATA_EVENTS, 0), **pieces.events}
        )
        yield CATALOG["tetragon_data_event_size"].histogram(
            SIZE_BOUNDS, pieces.sizes, zero.DATA_SIZES
        )


def _cache(prefix: str, cache: Cache) -> Iterator[Metric]:
    yield CATALOG[f"{prefix}_size"].single(cache.size)
    yield CATALOG[f"{prefix}_capacity"].single(cache.capacity)
    yield CATALOG[f"{prefix}_evictions_total"].single(cache.evictions)
    yield CATALOG[f"{prefix}_misses_total"].by_label(
        {**dict.fromkeys(zero.OPERATIONS, 0), **cache.misses}
    )
