# SPDX-License-Identifier: Apache-2.0
"""Every collector of an agent that serves metrics."""

from __future__ import annotations

from typing import List, Optional

from tetrapy.btf.source import BtfSource
from tetrapy.metrics.about import About
from tetrapy.metrics.caches import Caches
from tetrapy.metrics.constant import Constant
from tetrapy.metrics.counters import EventCounter, FlagCounter
from tetrapy.metrics.export import Export
from tetrapy.metrics.kernel import KernelSide
from tetrapy.metrics.prometheus import Collector
from tetrapy.metrics.records import Records
from tetrapy.metrics.resources import Resources
from tetrapy.metrics.sources import Sources


def collectors(
    source: BtfSource, sources: Sources, flags: FlagCounter, events: Optional[EventCounter]
) -> List[Collector]:
    """Those of every group; `events` is None where `enable-event-metrics` is off."""
    always = [
        About(source),
        KernelSide(sources),
        Records(sources),
        flags,
        Caches(sources),
        Export(sources),
        Constant(),
        Resources(),
    ]
    return always if events is None else [*always, events]
