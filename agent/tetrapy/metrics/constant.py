# SPDX-License-Identifier: Apache-2.0
"""Figures that are 0 in this release, and are told because dashboards divide by them or alert on
them: without the series they would say "no data" where all is well.
"""

from __future__ import annotations

from itertools import product
from typing import Dict, Iterator, Tuple

from tetrapy.events.kinds import PROCESS_EXEC, PROCESS_EXIT, PROCESS_THROTTLE, RATE_LIMIT_INFO
from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.prometheus import Collector, Metric

_TYPES = (PROCESS_EXEC, PROCESS_EXIT, PROCESS_THROTTLE, RATE_LIMIT_INFO)
_INFORMATION = ("ancestors_info", "parent_info", "pod_info", "process_info")
_STATES = ("disabled", "enabled", "error", "load_error", "partially_enabled", "skipped")

# name -> the values of each label
_ZEROS: Dict[str, Tuple[Tuple[str, ...], ...]] = {
    "tetragon_tracingpolicy_loaded": (_STATES,),
    "tetragon_observer_ringbuf_errors_total": (),
    "tetragon_observer_ringbuf_queue_events_lost_total": (),
    "tetragon_notify_overflowed_events_total": (),
    "tetragon_event_cache_entries": (),
    "tetragon_event_cache_inserts_total": (),
    "tetragon_event_cache_errors_total": (("nil_process_pid",), _TYPES),
    "tetragon_event_cache_fetch_failures_total": (_INFORMATION, _TYPES),
    "tetragon_event_cache_fetch_retries_total": (_INFORMATION,),
}


class Constant(Collector):
    """All of them."""

    def collect(self) -> Iterator[Metric]:
        """Each with every combination of its labels' values."""
        for name, values in _ZEROS.items():
            yield CATALOG[name].of((labels, 0) for labels in product(*values))
