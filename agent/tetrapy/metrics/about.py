# SPDX-License-Identifier: Apache-2.0
"""What the agent is and what it stands on: figures that say nothing but by their labels."""

from __future__ import annotations

from typing import Iterator

from tetrapy.btf.source import BtfSource
from tetrapy.events.text import to_text
from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.prometheus import Collector, Metric
from tetrapy.version import __version__

# Tetragon's labels. tetrapy is not written in Go, and two builds of the same sources are the same
# bytes, so that no build knows its time or commit: an empty label is to Prometheus one that is not.
_BUILD = ("", "", "", "", __version__)


class About(Collector):
    """`tetragon_build_info` and `tetrapy_btf_source_info`, both 1."""

    def __init__(self, source: BtfSource) -> None:
        # A path of any bytes may be part of it.
        told = to_text(source.told.encode("utf-8", "surrogateescape"))
        self._source = source.kind, told

    def collect(self) -> Iterator[Metric]:
        """Both families."""
        yield CATALOG["tetragon_build_info"].of([(_BUILD, 1)])
        yield CATALOG["tetrapy_btf_source_info"].of([(self._source, 1)])
