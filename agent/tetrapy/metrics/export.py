# SPDX-License-Identifier: Apache-2.0
"""The export: what was written, what was left out as asked, and what was lost."""

from __future__ import annotations

from typing import Iterator

from tetrapy.metrics import zero
from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.prometheus import Collector, Metric
from tetrapy.metrics.sources import Sources


class Export(Collector):
    """The figures of the exporter."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        exporter = self._sources.exporter
        for name, figure in (
            ("tetrapy_export_filtered_events_total", exporter.filtered),
            ("tetrapy_export_aggregated_events_total", exporter.aggregated),
            ("tetragon_export_ratelimit_events_dropped_total", exporter.rate_limited),
            ("tetragon_events_exported_total", exporter.events),
            ("tetragon_events_exported_bytes_total", exporter.bytes),
            ("tetragon_events_last_exported_timestamp", exporter.last),
            ("tetrapy_export_lost_lines_total", exporter.lost_lines),
            ("tetrapy_export_write_errors_total", exporter.write_errors),
            ("tetrapy_export_rotations_total", exporter.rotations),
            ("tetrapy_export_overflow_lines_total", exporter.overflowed),
            ("tetrapy_export_cut_lines_total", exporter.cut_lines),
            ("tetrapy_export_cut_ancestors_total", exporter.cut_ancestors),
        ):
            yield CATALOG[name].single(figure)
        yield CATALOG["tetrapy_patterns_over_budget_total"].by_label(
            {**dict.fromkeys(zero.PATTERN_SETTINGS, 0), **exporter.over_budget}
        )
