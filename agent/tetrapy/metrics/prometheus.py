# SPDX-License-Identifier: Apache-2.0
"""What is used of prometheus_client: its families of metrics and its registry.

The package's own __init__ imports all that it has, its servers and their ssl, email, urllib and
wsgiref with it: 98 modules and 10 MB, in an agent that has a server of its own. So the package is
made as an import makes it, but not executed; its modules are found in it all the same.
"""

from __future__ import annotations

import importlib.util
import sys


def _open_package(name: str) -> None:
    """Have `name` among the modules without running its __init__, unless it has run before.

    Raises ModuleNotFoundError when there is no such package.
    """
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.modules[name] = importlib.util.module_from_spec(spec)


_open_package("prometheus_client")

from prometheus_client.metrics_core import (  # noqa: E402 - after the package is opened
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry  # noqa: E402

__all__ = [
    "Collector",
    "CollectorRegistry",
    "CounterMetricFamily",
    "GaugeMetricFamily",
    "HistogramMetricFamily",
    "Metric",
]
