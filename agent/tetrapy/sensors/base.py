"""The base sensor: every exec, fork and exit of the machine.

It loads the object whose flavour the kernel takes and attaches it to three raw tracepoints.
"""

from __future__ import annotations

import select
import struct
from typing import List, NamedTuple, Optional, Union

from tetrapy.abi.btf import Btf
from tetrapy.abi.elf import section_data
from tetrapy.abi.layout import enum_values, rodata_offsets
from tetrapy.errors import KernelError, NotPermittedError
from tetrapy.events.decoder import EventAbi
from tetrapy.kernel import bundle
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.cgroups import is_unified
from tetrapy.kernel.clock import monotonic_gap_ns
from tetrapy.kernel.maps import read_counters
from tetrapy.kernel.perfbuf import SETTLE_SECONDS, PerfBuffer
from tetrapy.kernel.privilege import denied
from tetrapy.kernel.programs import program_info
from tetrapy.kernel.ringbuf import RingBuffer

RING_OBJECT = "bpf/base.bpf.o"
PERF_OBJECT = "bpf/base-perf.bpf.o"
OBJECTS = (RING_OBJECT, PERF_OBJECT)

_PAGE = 4096
_PROGRAM_PREFIX = "on_"  # and the kind of its records
_LARGEST = 2 << 30  # bytes; a map's size is a 32-bit number
_HURRY = 256 << 10  # bytes that wait before the reader is woken early


class BufferSize(NamedTuple):
    """Bytes of the buffer between kernel and agent, both powers of two."""

    total: int  # of the one ring buffer
    per_cpu: int  # of each perf buffer

    @classmethod
    def of(cls, total: int, cpus: int) -> BufferSize:
        """Room for `total` bytes over all CPUs, rounded up to what the kernel accepts."""
        total = min(total, _LARGEST)
        return cls(_power_of_two(total), _power_of_two(max(total // cpus, 16 * _PAGE)))


class BaseSensor:
    """The loaded object, its buffer and its counters."""

    def __init__(self, use_ring: bool, size: BufferSize, btf_path: Optional[str]) -> None:
        """Load the object; `attach` starts the flow of records.

        Raises LayoutError when the object is not what this agent expects, KernelError when the
        kernel refuses it.
        """
        self.name = RING_OBJECT if use_ring else PERF_OBJECT
        data = bundle.read(self.name)
        btf = Btf(section_data(data, ".BTF"))
        self.abi = EventAbi(btf)
        self.uses_ring = use_ring
        self.clock_gap = 0
        self._size = size
        self._variables = {**rodata_offsets(btf, ".rodata"), **rodata_offsets(btf, ".bss")}
        self._object = BpfObject(data, "base", btf_path)
        self._buffer: Union[RingBuffer, PerfBuffer, None] = None
        try:
            self._load(btf)
        except BaseException:
            self.close()
            raise

    def _load(self, btf: Btf) -> None:
        sources = enum_values(btf, "cgroup_source")
        source = sources["CGROUP_UNIFIED" if is_unified() else "CGROUP_MEMORY"]
        self._object.set_constant(
            ".rodata", self._variables["cgroup_source"][0], struct.pack("<I", source)
        )
        if self.uses_ring:
            self._object.set_max_entries("events", self._size.total)
            hurry = struct.pack("<Q", min(_HURRY, self._size.total // 4))
            self._object.set_constant(".rodata", self._variables["hurry_bytes"][0], hurry)
        try:
            self._object.load()
        except KernelError as err:
            refused = denied(err.errno, "the kernel refused the BPF programs")
            if isinstance(refused, NotPermittedError):
                refused.log = err.log
                raise refused from err
            raise
        fd = self._object.map_fd("events")
        self._losses_fd = self._object.map_fd("losses")
        fds = self._object.program_fds()
        self._programs = [
            (decoder.kind, fds[_PROGRAM_PREFIX + name])
            for name, decoder in self.abi.decoders.items()
            if _PROGRAM_PREFIX + name in fds
        ]
        if self.uses_ring:
            self._buffer = RingBuffer(fd, self._size.total)
            self._sleeps = self._object.variable(".bss", self._variables["reader_sleeps"][0])
        else:
            self._buffer = PerfBuffer(fd, self._size.per_cpu, self.abi.ktime_of)

    @property
    def buffer_bytes(self) -> int:
        """The size of the buffer, over all CPUs."""
        if isinstance(self._buffer, PerfBuffer):
            return self._size.per_cpu * self._buffer.cpus
        return self._size.total

    @property
    def settle_seconds(self) -> float:
        """How long after an event its record is certain to be drained in order."""
        return 0.0 if self.uses_ring else SETTLE_SECONDS

    def attach(self) -> None:
        """Start the flow of records.

        Attaching takes milliseconds. Execs come first: one that is missed leaves a wrong image.
        Exits come last, else those of processes that nobody knows would be told.
        """
        self.refresh_clock()
        for program in ("on_exec", "on_fork", "on_exit"):
            self._object.attach(program)

    def detach(self) -> None:
        """Stop the flow of records; those on their way can still be drained."""
        self._object.detach()

    def register(self, epoll: select.epoll) -> None:
        """Have `epoll` woken when records wait."""
        assert self._buffer is not None
        epoll.register(self._buffer.fd, self._buffer.epoll_flags)

    def drain(self, limit: int, everything: bool = False) -> List[bytes]:
        """At most `limit` records in order; `everything` includes those still settling."""
        buffer = self._buffer
        if isinstance(buffer, RingBuffer):
            return buffer.drain(limit)
        assert buffer is not None
        return buffer.drain(limit, everything)

    def ask_for_wakeup(self) -> bool:
        """Have the next record wake the reader; False when the kernel cannot be asked."""
        if not self.uses_ring:
            return False
        self._sleeps.value = 1
        return True

    def refresh_clock(self) -> None:
        """Measure what is to be added to a record's time to count suspended time too."""
        if not self.uses_ring:
            self.clock_gap = monotonic_gap_ns()

    def loss_counters(self) -> List[int]:
        """Records lost, one number for each value of enum event_kind.

        Since Linux 7.0 a program may be preempted, and until it goes on the kernel skips it for
        every other task on that CPU. It counts that; for exits the number includes threads that
        would have made no record.
        """
        counters = read_counters(self._losses_fd, len(self.abi.kind_names))
        for kind, fd in self._programs:
            counters[kind] += program_info(fd).misses
        return counters

    def close(self) -> None:
        """Detach and give everything back to the kernel."""
        if self._buffer is not None:
            self._buffer.close()
            self._buffer = None
        self._object.close()


def _power_of_two(size: int) -> int:
    return 1 << max(size - 1, _PAGE - 1).bit_length()
