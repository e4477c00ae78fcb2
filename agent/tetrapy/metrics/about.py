"""What the agent is and what it stands on: figures that say nothing but by their labels.

A collector makes its figures when somebody asks for them, so that counting costs events nothing.
"""

from __future__ import annotations

from typing import Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tetrapy.btf.source import BtfSource
from tetrapy.events.text import to_text
from tetrapy.version import __version__

# Tetragon's labels. tetrapy is not written in Go, and two builds of the same sources are the same
# bytes, so that no build knows its time or commit: an empty label is to Prometheus one that is not.
_BUILD = {"commit": "", "go_version": "", "modified": "", "time": "", "version": __version__}


class About(Collector):
    """`tetragon_build_info` and `tetrapy_btf_source_info`, both 1."""

    def __init__(self, source: BtfSource) -> None:
        # A path of any bytes may be part of it.
        told = to_text(source.told.encode("utf-8", "surrogateescape"))
        self._source = {"kind": source.kind, "source": told}

    def collect(self) -> Iterator[Metric]:
        """Both families."""
        build = GaugeMetricFamily(
            "tetragon_build_info", "Build information about tetrapy", labels=list(_BUILD)
        )
        build.add_metric(list(_BUILD.values()), 1)
        yield build
        btf = GaugeMetricFamily(
            "tetrapy_btf_source_info",
            "Where the kernel's types (BTF) come from",
            labels=list(self._source),
        )
        btf.add_metric(list(self._source.values()), 1)
        yield btf
