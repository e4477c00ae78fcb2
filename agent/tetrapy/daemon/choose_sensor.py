# SPDX-License-Identifier: Apache-2.0
"""Which sensor watches: eBPF where it can be used, and the process connector where it cannot."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Callable, Optional, Tuple

from tetrapy.btf.source import KIND_NONE, BtfSource
from tetrapy.config.settings import Settings
from tetrapy.daemon import btf, policy_files
from tetrapy.daemon.policies import Policies
from tetrapy.daemon.start import load_sensor, sensor_options
from tetrapy.errors import (
    BtfNotFoundError,
    KernelError,
    LayoutError,
    NativeCodeError,
    TetrapyError,
)
from tetrapy.kernel import privilege
from tetrapy.process.details import Wanted
from tetrapy.sensors.filter_masks import KernelFilters
from tetrapy.sensors.source import EventSource

AUTO, CONNECTOR = "auto", "connector"

NO_BTF = BtfSource(KIND_NONE, "not needed: the process connector is used")

# What keeps eBPF from being used; anything else is a mistake of ours or of the operator.
_OBSTACLES = (KernelError, BtfNotFoundError, LayoutError, NativeCodeError)

Log = Callable[..., None]


def check_user(settings: Settings) -> None:
    """Raise NotPermittedError, before anything else fails, for a user who may not use eBPF.

    Root without the capabilities goes on: the process connector may serve.
    """
    if settings.sensor != CONNECTOR and os.geteuid():
        privilege.check_capabilities()


def attached(
    settings: Settings,
    wanted: Wanted,
    filters: Optional[KernelFilters],
    log: Log,
    run_directory: str,
    procfs: str,
    alive: Callable[[], None],
    is_ending: Callable[[], bool],
) -> Tuple[EventSource, BtfSource, Policies]:
    """The sensor that the settings and this kernel allow, attached, and where types came from.

    With the tracing policies, attached too: see policy_files.prepared for `alive` and `is_ending`.
    Raises TetrapyError that names the obstacle.
    """

    def attach(sensor: EventSource, source: BtfSource) -> Policies:
        """Policies are prepared before events flow, which nobody takes meanwhile."""
        with contextlib.ExitStack() as acquired:
            acquired.callback(sensor.close)
            prepared = policy_files.prepared(
                settings, sensor, source, procfs, run_directory, log, alive, is_ending
            )
            acquired.callback(prepared.close)
            sensor.attach()
            policy_files.attach(prepared, settings)
            acquired.pop_all()
        return prepared

    if settings.sensor == CONNECTOR:
        sensor = _connector(settings, wanted, log, procfs, "the settings ask for it")
        return sensor, NO_BTF, attach(sensor, NO_BTF)
    try:
        sensor, source = _ebpf(settings, wanted, filters, log, run_directory)
        return sensor, source, attach(sensor, source)
    except _OBSTACLES as err:
        # A BTF file that somebody named and that does not serve is a mistake to be mended.
        if settings.sensor != AUTO or settings.btf:
            raise
        if isinstance(err, KernelError) and err.log:
            log("debug", "libbpf", log=err.log)
        try:
            sensor = _connector(settings, wanted, log, procfs, str(err))
            return sensor, NO_BTF, attach(sensor, NO_BTF)
        except TetrapyError as second:
            log("info", "The process connector cannot be used either", error=str(second))
            raise err from second


def _ebpf(
    settings: Settings,
    wanted: Wanted,
    filters: Optional[KernelFilters],
    log: Log,
    run_directory: str,
) -> Tuple[EventSource, BtfSource]:
    privilege.check_bpf()
    options = sensor_options(settings, wanted, filters)
    return btf.loaded(settings, log, lambda types: load_sensor(options, types, log, run_directory))


def _connector(settings: Settings, wanted: Wanted, log: Log, procfs: str, why: str) -> EventSource:
    # Imported late: pyroute2 is large, and most hosts have eBPF.
    from tetrapy.sensors.connector import source as connector

    sensor: Any = connector.open_sensor(settings, wanted, procfs)
    log(
        "warn",
        "Events come from the process connector, not from eBPF",
        because=why,
        blind="; ".join(sensor.blind),
    )
    found: EventSource = sensor
    return found
