# SPDX-License-Identifier: Apache-2.0
"""What the agent needs before it can watch: export target, sensor, procfs, the machine's name."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Callable, Optional, Tuple

from tetrapy.btf import custom_btf
from tetrapy.btf.source import BtfSource
from tetrapy.config.settings import Settings
from tetrapy.errors import (
    KernelError,
    NotLoadedError,
    NotPermittedError,
    UnsupportedFeatureError,
)
from tetrapy.events.json import JsonEncoder
from tetrapy.events.text import to_text
from tetrapy.export.stages import Stages
from tetrapy.export.subscription import Subscription
from tetrapy.export.target import SinkTarget
from tetrapy.host_files import host_root
from tetrapy.kernel import capabilities, cgroups, features, kfuncs, namespaces
from tetrapy.kernel.clock import WallClock
from tetrapy.process.details import Details, Redactor, Wanted
from tetrapy.process.procfs import (
    INITIAL_PID_NAMESPACE,
    are_host_namespaces_known,
    foreign_namespace,
    host_namespaces,
)
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.base import BaseSource
from tetrapy.sensors.configuration import (
    CONTEXT_PROGRAM,
    FILE_PROGRAMS,
    GATES,
    GUARDED_GATES,
    LATE_PROGRAM,
    SMALL_LACK,
)
from tetrapy.sensors.filter_masks import KernelFilters
from tetrapy.sensors.options import PROCESSES, BufferSize, Rate, SensorOptions
from tetrapy.sensors.source import EventSource
from tetrapy.sinks.open import open_sink

_PROCESS_BYTES = 64  # of an entry of the kernel's map, for settings that give its size in bytes

_BUFFER_PER_CPU, _MIN_BUFFER, _MAX_BUFFER = 1 << 20, 2 << 20, 16 << 20  # bytes

Log = Callable[..., None]


def node_name() -> str:
    """The machine's name in events."""
    environment = os.environb
    name = environment.get(b"HUBBLE_NODE_NAME") or environment.get(b"NODE_NAME")
    return to_text(name or os.uname().nodename.encode("utf-8", "surrogateescape"))


def open_target(settings: Settings, writes: bool, log: Log) -> SinkTarget:
    """The file or stream that the settings name, whether anything is to be written or not.

    Raises ExportError when it cannot be written.
    """
    sink = open_sink(settings, log)
    log("info", "Exporter configuration", enabled=writes, fileName=settings.export_filename)
    return SinkTarget(sink, log, settings.export_file_user_share)


def subscribe(settings: Settings, stages: Stages, target: SinkTarget) -> Subscription:
    """The way of events, as JSON, to the target."""
    cluster = to_text(settings.cluster_name.encode("utf-8", "surrogateescape"))
    encoder = JsonEncoder(node_name(), cluster, settings.export_event_max_bytes)
    return Subscription(stages, encoder, target, lambda: WallClock().now())


def make_redactor(settings: Settings, log: Log) -> Optional[Redactor]:
    """What takes secrets out of texts; None when the settings name none.

    Raises SettingsError for filters that make no sense.
    """
    if not settings.redaction_filters:
        return None
    from tetrapy.filters.redaction import parse_redaction

    redactor = parse_redaction(settings.redaction_filters, "redaction-filters")
    log("info", "Configured redaction filters", redactionFilters=settings.redaction_filters)
    if redactor is not None:
        for warning in redactor.warnings:
            log("warn", warning)
    return redactor


def make_stages(settings: Settings) -> Stages:
    """What is between events and lines. Raises SettingsError for filters that make no sense."""
    return Stages.of(settings, time.monotonic_ns())


def wanted_details(settings: Settings, redactor: Optional[Redactor] = None) -> Wanted:
    """What the settings want to know of a process beyond the usual."""
    return Wanted(
        credentials=settings.enable_process_cred,
        namespaces=settings.enable_process_ns,
        users=settings.username_metadata == "unix",
        environment=settings.enable_process_environment_variables,
        variables=frozenset(settings.filter_environment_variables),
        redactor=redactor,
    )


def make_table(
    settings: Settings, wanted: Wanted, source: EventSource, procfs: str
) -> Tuple[ProcessTable, Optional[Details]]:
    """The process table, and what fills in the details; None when none are wanted."""
    details = None
    if wanted.anything:
        host = host_namespaces(procfs) if procfs else None
        details = Details(wanted, source.abi, host, host_root(procfs))
    ancestors = "base" in settings.enable_ancestors
    capacity, max_bytes = settings.process_cache_size, settings.process_cache_max_bytes
    table = ProcessTable(node_name(), procfs, capacity, details, ancestors, max_bytes)
    table.with_files = settings.enable_executed_file
    if source.executables is not None:
        table.doubtful = source.executables.doubtful
    return table, details


def sensor_options(
    settings: Settings, wanted: Wanted, filters: Optional[KernelFilters]
) -> SensorOptions:
    """How the base sensor is to be loaded, but for the kernel's types."""
    rate = settings.cgroup_rate
    small = settings.force_small_progs
    use_ring = not (small or settings.use_perf_ring_buffer) and features.has_ring_buffer()
    if not (use_ring or settings.force_large_progs or features.takes_large_programs()):
        small = True
    size = settings.execve_map_size // _PROCESS_BYTES
    return SensorOptions(
        use_ring=use_ring,
        size=buffer_size(settings, os.cpu_count() or 1),
        context=wanted.context,
        environment=wanted.environment,
        cgroups=cgroups.host_controller(settings.procfs) or "",
        processes=settings.execve_map_entries or size or PROCESSES,
        reassembly=settings.data_cache_size,
        rate=Rate(rate.events, rate.interval_ns) if rate else None,
        filters=filters,
        small=small,
    )


def load_sensor(
    options: SensorOptions, source: BtfSource, log: Log, run_directory: str
) -> BaseSource:
    """The base sensor, loaded into the kernel with these types and not yet attached.

    Raises LayoutError or KernelError, which tell the obstacle; NotLoadedError where other types may
    help.
    """
    if options.context and CONTEXT_PROGRAM in source.disabled_programs:
        log(
            "warn",
            "Credentials and namespaces cannot be reported: this kernel's types are not known",
        )
        options = options._replace(context=False)
    if set(FILE_PROGRAMS) & set(source.disabled_programs):
        log(
            "warn",
            "What is executed is reported as its caller wrote it: this kernel's types for the file"
            " itself are not known",
        )
        options = options._replace(file=False)
    if LATE_PROGRAM in source.disabled_programs and (
        options.filters is not None or options.rate is not None
    ):
        log(
            "warn",
            "Filters are not asked in the kernel and cgroup-rate has no effect: this kernel's types"
            " are not known",
        )
        options = options._replace(filters=None, rate=None)
    gates = GATES if features.preempts_programs(source.data) else 0
    with custom_btf.custom_path(source.data, run_directory) as path:
        try:
            sensor = _base_source(options._replace(btf_path=path, gates=gates), log)
        except KernelError as err:
            if path is None or isinstance(err, (NotPermittedError, UnsupportedFeatureError)):
                raise
            text = f"{err}; the kernel's types came from {source.origin}: do they fit it?"
            raise type(err)(text, err.errno, err.log) from err
    if options.small:
        log("warn", "Small BPF programs are used", because=_why_small(), lack=SMALL_LACK)
    kind = "BPF ring buffer size (bytes)" if options.use_ring else "Perf buffer size (bytes)"
    log("info", f"Set execve_map entries {options.processes}")
    log("info", kind, total=sensor.buffer_bytes)
    return sensor


def _why_small() -> str:
    """What the kernel lacks for the usual ones."""
    try:
        features.require(features.PERF_FLAVOUR)
    except UnsupportedFeatureError as lacking:
        return str(lacking)
    return "the settings ask for it"


def _base_source(options: SensorOptions, log: Log) -> BaseSource:
    """The base sensor, with bpf_loop() and iterators where these can be had."""
    loops = not options.small and features.LOOPS.is_there
    # Iterators are as old as the ring buffer, and refer to the kernel's own BTF; yet there are
    # kernels that refuse all programs which do.
    if options.use_ring and options.btf_path is None:
        try:
            return _gated_source(options._replace(loops=loops, executables=True), log)
        except (NotLoadedError, NotPermittedError) as err:
            log(
                "debug",
                "The kernel does not take all programs: trying without iterators",
                error=err,
            )
    if loops:
        # Without a compiler in the kernel (and before Linux 6.0 on arm64) there is the helper, but
        # no function beside tail calls.
        with suppress(NotLoadedError):
            return _gated_source(options._replace(loops=True), log)
    return _gated_source(options, log)


def _gated_source(options: SensorOptions, log: Log) -> BaseSource:
    """The base sensor, with what keeps a task from being preempted in it where it can be had."""
    if not options.gates:
        return BaseSource(options)
    numbers = kfuncs.find(kfuncs.PREEMPTION)
    if not numbers:
        # The kernel has no BTF, by which programs would call them, or not these functions.
        return BaseSource(options)
    try:
        return BaseSource(options._replace(kfuncs=numbers, gates=GUARDED_GATES))
    except NotLoadedError as err:
        log(
            "warn",
            "The kernel does not let BPF programs call its functions, so a task may be preempted in"
            " one, and events of a burst are lost more often",
            error=err,
            hint="is net.core.bpf_jit_enable 0?",
        )
        return BaseSource(options)


def buffer_size(settings: Settings, cpus: int) -> BufferSize:
    """The buffer that the settings ask for; when they do not, one that suits the CPUs."""
    chosen = min(max(cpus * _BUFFER_PER_CPU, _MIN_BUFFER), _MAX_BUFFER)
    return BufferSize.of(settings.rb_size_total or settings.rb_size * cpus or chosen, cpus)


def trusted_procfs(root: str, log: Log) -> str:
    """`root`, or an empty string when it shows the processes of another pid namespace."""
    inode = foreign_namespace(root)
    if not inode:
        _take_the_machines_view(root, log)
        return root
    log(
        "warn",
        "inode mismatch: procfs does not appear to be host procfs",
        path=os.path.join(root, "1/ns/pid"),
        inode=inode,
        **{"expected inode": INITIAL_PID_NAMESPACE},
        hint="a container: run it with --pid=host; or name the host's procfs with --procfs",
    )
    return ""


def _how_to_see_processes() -> str:
    """What lets this process look at those of others."""
    if capabilities.held().effective >> capabilities.NUMBERS["CAP_SYS_PTRACE"] & 1:
        return "a container: run it with --security-opt apparmor=unconfined, or label=disable"
    return "give the agent CAP_SYS_PTRACE; a container: run it with --cap-add SYS_PTRACE"


def _take_the_machines_view(root: str, log: Log) -> None:
    """What procfs and the clocks say is to be what the kernel's records say; else tell."""
    foreign = namespaces.take_the_machines_view(root)
    if "time" in foreign:
        log("warn", "Times are those of the agent's time namespace, which it cannot leave")
    if not are_host_namespaces_known(root):
        log(
            "warn",
            "Other processes cannot be looked at: names of containers and programs of earlier"
            " processes may be missing, and the agent's namespaces of mounts and network count as"
            " the host's",
            path=os.path.join(root, "1/ns"),
            hint=_how_to_see_processes(),
        )
    if "cgroup" in foreign:
        log(
            "warn",
            "Containers of earlier processes are reported as far as the agent's cgroup namespace"
            " shows them, which it cannot leave",
            hint="a container: run it with --cgroupns=host",
        )
    if cgroups.host_controller(root) is None:
        log(
            "warn",
            "It is not known which cgroups tell of containers, so the unified ones are asked",
            path=os.path.join(root, "self/cgroup"),
        )
