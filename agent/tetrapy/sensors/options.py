# SPDX-License-Identifier: Apache-2.0
"""What a base sensor is asked for, decided before it is loaded."""

from __future__ import annotations

from typing import Dict, Optional

from tetrapy.named import NamedTuple
from tetrapy.sensors.filter_masks import KernelFilters
from tetrapy.sensors.reassembly import CAPACITY

_PAGE = 4096
_MAX_SIZE = 2 << 30  # bytes; a map's size is a 32-bit number

PROCESSES = 32768  # processes that the kernel remembers, unless the settings say otherwise


class BufferSize(NamedTuple):
    """Bytes of the buffer between kernel and agent, both powers of two."""

    total: int  # of the one ring buffer
    per_cpu: int  # of each perf buffer

    @classmethod
    def of(cls, total: int, cpus: int) -> BufferSize:
        """Room for `total` bytes over all CPUs, rounded up to what the kernel accepts."""
        total = min(total, _MAX_SIZE)
        return cls(_power_of_two(total), _power_of_two(max(total // cpus, 16 * _PAGE)))


class Rate(NamedTuple):
    """A limit for the events of a cgroup."""

    events: int
    interval: int  # ns


class SensorOptions(NamedTuple):
    """How the programs are loaded; what is not asked for the verifier takes out of them."""

    use_ring: bool
    size: BufferSize
    btf_path: Optional[str] = None  # in place of the kernel's own BTF
    context: bool = False  # credentials, namespaces, oddities of the binary
    environment: bool = False
    cgroups: str = ""  # controller of the hierarchy that tells of containers; empty: unified
    file: bool = True  # the file that is executed, where it is not what the path says
    processes: int = PROCESSES
    reassembly: int = CAPACITY  # long arguments that may wait for their exec
    rate: Optional[Rate] = None
    filters: Optional[KernelFilters] = None
    small: bool = False  # where the kernel has neither global data nor loops: bpf/flavour.h
    loops: bool = False  # where the kernel has bpf_loop(): walks are made by it
    executables: bool = False  # where the kernel has iterators: see sensors/executables.py
    gates: int = 0  # of each hook, where the kernel skips preempted programs: bpf/gates.h
    kfuncs: Optional[Dict[int, int]] = None  # with gates: what keeps a task from being preempted


def _power_of_two(size: int) -> int:
    return 1 << max(size - 1, _PAGE - 1).bit_length()
