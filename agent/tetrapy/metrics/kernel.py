# SPDX-License-Identifier: Apache-2.0
"""The kernel side: what the sensor got, what was lost on the way, and what its programs cost."""

from __future__ import annotations

from typing import Dict, Iterator

from tetrapy.metrics import zero
from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.opcodes import by_opcode
from tetrapy.metrics.prometheus import Collector, Metric
from tetrapy.metrics.sources import Sensor, Sources

# What Tetragon's programs get from the kernel when a perf buffer is full.
_FULL = "ENOSPC"
# Tetragon's name for what belongs to no policy.
_BASE = "__base__"


class KernelSide(Collector):
    """The figures of the sensor that is there when somebody asks."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        sensor = self._sources.sensor
        if sensor.name:
            blind = ", ".join(sensor.blind)
            yield CATALOG["tetrapy_sensor_info"].of([((blind, sensor.name), 1)])
        yield CATALOG["tetragon_bpf_missed_events_total"].of(
            ((_FULL, opcode), count) for opcode, count in by_opcode(dict(sensor.losses)).items()
        )
        yield CATALOG["tetrapy_kernel_filtered_events_total"].by_label(dict(sensor.kernel_filtered))
        yield CATALOG["tetrapy_owner_lost_records_total"].of(
            ((cgroup, uid), count) for (uid, cgroup), count in dict(sensor.owner_losses).items()
        )
        received = sensor.received
        for name in ("events", "queue_events"):
            yield CATALOG[f"tetragon_observer_ringbuf_{name}_received_total"].single(received)
        yield CATALOG["tetragon_observer_ringbuf_events_lost_total"].single(sensor.lost_in_socket)
        yield CATALOG["tetragon_cgroup_rate_total"].by_label(
            {**dict.fromkeys(zero.CGROUP_RATE, 0), **sensor.cgroup_rate}
        )
        yield from _programs(sensor)
        yield from _maps(sensor)


def _programs(sensor: Sensor) -> Iterator[Metric]:
    programs = sensor.programs
    yield CATALOG["tetragon_missed_prog_probes_total"].of(
        ((one.attach, _BASE), one.missed) for one in programs
    )
    labels = [(one.attach, _BASE, "", one.section, _BASE) for one in programs]
    yield CATALOG["tetragon_overhead_program_runs_total"].of(
        zip(labels, [one.runs for one in programs])
    )
    yield CATALOG["tetragon_overhead_program_seconds_total"].of(
        zip(labels, [one.seconds for one in programs])
    )


def _maps(sensor: Sensor) -> Iterator[Metric]:
    maps = dict(sensor.maps)
    figures: Dict[str, Dict[str, int]] = {
        "entries": {name: use.entries for name, use in maps.items()},
        "capacity": {name: use.capacity for name, use in maps.items()},
        "errors_update_total": {name: use.update_errors for name, use in maps.items()},
        "errors_delete_total": {name: use.delete_errors for name, use in maps.items()},
    }
    for ending, values in figures.items():
        yield CATALOG[f"tetragon_map_{ending}"].by_label(values)
