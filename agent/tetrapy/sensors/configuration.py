# SPDX-License-Identifier: Apache-2.0
"""Options of a base sensor -> what is set in its BPF object before loading (bpf/settings.h)."""

from __future__ import annotations

from typing import Dict, List, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.abi.layout import enum_values
from tetrapy.kernel import bundle, features
from tetrapy.kernel.features import Feature
from tetrapy.kernel.maps import cpu_limit
from tetrapy.sensors import filter_masks, throttle
from tetrapy.sensors.options import SensorOptions

RING_OBJECT = "bpf/base.bpf.o"
PERF_OBJECT = "bpf/base-perf.bpf.o"
SMALL_OBJECT = "bpf/base-4.19.bpf.o"  # packed: few kernels need it
OBJECTS = (RING_OBJECT, PERF_OBJECT)
# For operators: WALK_CALLS of bpf/walk.h times the steps of each.
SMALL_LACK = "tracing policies; the front of paths with more than 660 directories"

# Optional in C: loaded only where the options ask for what they tell.
CONTEXT_PROGRAM = "on_exec_context"
FILE_PROGRAMS = ("on_exec_file", "on_exec_file_deep", "on_exec_file_loop")
LATE_PROGRAM = "on_fork_suppressed"
EXECUTABLES_PROGRAM = "list_unexecuted"
# In the order in which they are attached, which takes milliseconds. Execs come first: one that is
# missed leaves a wrong image. Exits come last, else those of processes that nobody knows would be
# reported.
_HOOKS = ("exec", "fork", "exit")

GATES = 8  # GATES of bpf/gates.h: where tasks are preempted in the programs
GUARDED_GATES = 4  # where that is rare, since the programs switch preemption off (bpf/preempt.h)
_CLAIMS = 16384  # CLAIMS of bpf/gates.bpf.c

_WAKEUP_BYTES = 256 << 10  # bytes that wait before the reader is woken early


def flavour(options: SensorOptions) -> Tuple[bytes, Tuple[Feature, ...]]:
    """The object that the options ask for, and what it needs of the kernel."""
    if options.small:
        return bundle.read_packed(SMALL_OBJECT), features.SMALL_FLAVOUR
    if options.use_ring:
        return bundle.read(RING_OBJECT), features.RING_FLAVOUR
    return bundle.read(PERF_OBJECT), features.PERF_FLAVOUR


def constants(options: SensorOptions, btf: Btf) -> Dict[str, int]:
    """Name -> value of the object's constants; the others are 0."""
    sources = enum_values(btf, "cgroup_source")
    values = {
        "cgroup_source": sources[f"CGROUP_{(options.cgroups or 'unified').upper()}"],
        "want_context": int(options.context),
        "want_env": int(options.environment),
        "want_file": int(options.file),
        "use_loops": int(options.loops),
        "gates": options.gates,
    }
    values["buffer_bytes"] = options.size.total if options.use_ring else options.size.per_cpu
    if options.use_ring:
        values["wakeup_bytes"] = min(_WAKEUP_BYTES, options.size.total // 4)
    if options.rate is not None:
        values["rate_events"] = options.rate.events
        values["rate_interval"] = options.rate.interval
    filters = options.filters
    if filters is not None:
        values["use_filter_masks"] = 1
        values["deny_bits"] = filters.deny_bits
        values["allow_bits"] = filters.allow_bits
        values["use_allow_bits"] = int(bool(filters.allow_bits))
        values["use_cgroup_masks"] = int(filter_masks.asks_for_containers(filters))
        values["other_pids_mask"] = filters.pid_default
        values["unknown_parent_mask"] = filters.unknown_parent
    return values


def sizes(options: SensorOptions) -> Dict[str, int]:
    """Name -> entries (bytes, for the ring buffer) of the maps whose size is not in the object."""
    entries = {"processes": options.processes}
    # A place for each CPU: libbpf would ask /sys, which may not be there.
    entries["events"] = options.size.total if options.use_ring else cpu_limit()
    if options.gates:
        entries["claims"] = _CLAIMS
        entries["file_checks"] = options.gates
        entries["scratches"] = (2 if _keeps_back(options) else 1) * options.gates
    if options.rate is not None:
        entries["cgroup_rates"] = throttle.CGROUPS
    if options.filters is not None:
        entries["binary_masks"] = filter_masks.BINARIES
        entries["cgroup_masks"] = filter_masks.CGROUPS
        entries["pid_masks"] = len(options.filters.pids) or 1
    if _keeps_back(options):
        entries["suppressed_paths"] = filter_masks.PATHS
    return entries


def optional_programs(options: SensorOptions) -> List[str]:
    """The optional programs that are to be loaded."""
    walk = "loop" if options.loops else "deep"
    programs = [f"on_exec_{walk}"]
    if options.small:
        programs += ["on_exec_rest", "on_exec_end"]
    if options.loops and _keeps_back(options):
        programs.append("on_exec_deep")  # for LATE_PROGRAM, which none replaces
    if options.context:
        programs.append(CONTEXT_PROGRAM)
    if options.file:
        programs += ["on_exec_file", f"on_exec_file_{walk}"]
    if _keeps_back(options):
        programs.append(LATE_PROGRAM)
    if options.executables:
        programs.append(EXECUTABLES_PROGRAM)
    if options.gates:
        programs += [gate for hook in _HOOKS for gate in _gates(hook, options.gates)]
    return programs


def attached(options: SensorOptions) -> Dict[str, List[str]]:
    """Kind of records -> the programs on its hook; the kernel runs them in this order."""
    return {hook: _gates(hook, options.gates) or [f"on_{hook}"] for hook in _HOOKS}


def _gates(hook: str, count: int) -> List[str]:
    return [f"on_{hook}_gate{number}" for number in range(count)]


def _keeps_back(options: SensorOptions) -> bool:
    return options.filters is not None or options.rate is not None
