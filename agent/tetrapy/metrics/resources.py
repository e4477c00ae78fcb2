# SPDX-License-Identifier: Apache-2.0
"""What the agent's process takes, under the names that Prometheus' libraries share."""

from __future__ import annotations

import os
import resource
import time
from typing import Dict, Iterator

from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.prometheus import Collector, Metric

_PROC = "/proc"  # the procfs that this process sees, whichever `--procfs` names
_NO_LIMIT = float(2**64 - 1)  # what Go's library says where there is none


class Resources(Collector):
    """CPU, memory, descriptors and threads; what procfs does not show is left out."""

    def __init__(self) -> None:
        self._page = resource.getpagesize()
        self._booted = _boot_time()

    def collect(self) -> Iterator[Metric]:
        """Those that can be had."""
        figures: Dict[str, float] = {
            "cpu_seconds_total": time.process_time(),
            "max_fds": _limit(resource.RLIMIT_NOFILE),
            "virtual_memory_max_bytes": _limit(resource.RLIMIT_AS),
        }
        try:
            figures.update(self._from_procfs())
        except OSError:
            pass
        for name, figure in figures.items():
            yield CATALOG[f"process_{name}"].single(figure)

    def _from_procfs(self) -> Dict[str, float]:
        with open(f"{_PROC}/self/stat", "rb") as file:
            # The fields behind the name, which is the second and may hold anything: proc(5).
            fields = file.read().rpartition(b")")[2].split()
        threads, ticks, virtual, resident = (int(fields[at]) for at in (17, 19, 20, 21))
        started = self._booted + ticks / os.sysconf("SC_CLK_TCK")
        return {
            "threads": threads,
            "start_time_seconds": round(started, 2),
            "virtual_memory_bytes": virtual,
            "resident_memory_bytes": resident * self._page,
            "open_fds": len(os.listdir(f"{_PROC}/self/fd")) - 1,  # less the one that lists
        }


def _boot_time() -> float:
    """Seconds since 1970; 0 where procfs does not tell."""
    try:
        with open(f"{_PROC}/stat", "rb") as file:
            for line in file:
                if line.startswith(b"btime "):
                    return float(line[6:])
    except OSError:
        pass
    return 0.0


def _limit(which: int) -> float:
    limit = resource.getrlimit(which)[0]
    return _NO_LIMIT if limit == resource.RLIM_INFINITY else limit
