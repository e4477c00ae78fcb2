# SPDX-License-Identifier: Apache-2.0
"""The base sensor and its buffer: every exec, fork and exit of the machine.

The object whose flavour the kernel takes is attached to three raw tracepoints.
"""

from __future__ import annotations

import select
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from tetrapy.abi import constants
from tetrapy.abi.btf import Btf
from tetrapy.abi.elf import section_data
from tetrapy.abi.layout import enum_values, member_places, rodata_offsets, struct_layout
from tetrapy.containers.cgroup import ContainerRef
from tetrapy.errors import KernelError
from tetrapy.events.container import Membership
from tetrapy.events.decoder import EventAbi
from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.kernel import capabilities, kfuncs, named_types
from tetrapy.kernel.clock import WallClock, monotonic_gap_ns
from tetrapy.kernel.data_section import DataSection
from tetrapy.kernel.maps import BpfMap, read_counters, write_u32
from tetrapy.kernel.perfbuf import PerfBuffer
from tetrapy.kernel.programs import ProgramInfo
from tetrapy.kernel.ringbuf import RingBuffer
from tetrapy.kernel.shared_memory import Fence, Word
from tetrapy.process.details import Details
from tetrapy.process.table import ProcessTable
from tetrapy.process.tracker import ProcessTracker
from tetrapy.sensors import configuration
from tetrapy.sensors.base_handler import BaseHandler
from tetrapy.sensors.executables import Executables
from tetrapy.sensors.filter_masks import FilterMasks
from tetrapy.sensors.options import SensorOptions
from tetrapy.sensors.owners import Owner, OwnerLosses
from tetrapy.sensors.policy.hook import Hooks
from tetrapy.sensors.sensor import Sensor
from tetrapy.sensors.source import EventSource
from tetrapy.sensors.throttle import CgroupRates

if TYPE_CHECKING:
    from tetrapy.sensors.policy.handler import CallHandler
    from tetrapy.sensors.policy.programs import Programs

_PID = Struct("=I")
_RESCUED = "COUNT_{}_RESCUED"  # of enumerators, with the kind of records
_BSS, _VARIABLES = ".bss", "variables"  # the latter: bpf/variables.h
_CALL_PREFIX = "CALL_"  # of enumerators, and the name of a program in capital letters


class BaseSource(EventSource):
    """The base sensor's buffer and counters."""

    name = "ebpf"
    abi: EventAbi

    def __init__(self, options: SensorOptions) -> None:
        """Load the object; `attach` starts the flow of records.

        Raises LayoutError when the object is not what this agent expects, KernelError when the
        kernel refuses it.
        """
        data, needed = configuration.flavour(options)
        if options.kfuncs:
            data = kfuncs.put_in(data, options.kfuncs)
        own_types = section_data(data, ".BTF")
        btf = Btf(own_types)
        self.abi = EventAbi(btf)
        self.uses_ring = options.use_ring
        self.is_small = options.small
        self.filter_masks: Optional[FilterMasks] = None
        self.rates: Optional[CgroupRates] = None
        self.hooks = Hooks()  # of tracing policies
        self.hooks.is_drained = lambda: not self.buffer.more
        self._handler: Optional[BaseHandler] = None
        self.calls: Optional[CallHandler] = None  # who decodes their records, if there are any
        self._programs: Optional[Programs] = None
        self._options = options
        self._variables = (
            member_places(btf, _VARIABLES) if options.small else rodata_offsets(btf, _BSS)
        )
        self._places = rodata_offsets(btf)
        values = configuration.constants(options, btf)
        self._constants = {
            name: value.to_bytes(self._places[name][1], "little") for name, value in values.items()
        }
        self._attached = configuration.attached(options)
        programs = [program for hook in self._attached.values() for program in hook]
        self._buffer: Union[RingBuffer, PerfBuffer, None] = None
        if options.small:
            data = constants.put_in(
                data, {self._places[name][0]: value for name, value in values.items()}
            )
        with named_types.path(own_types, options.btf_path) as path:
            self._sensor = Sensor("base", data, programs, needed, path)
            try:
                self._configure(btf)
                self._sensor.load()
                self._connect(btf)
            except BaseException:
                self.close()
                raise

    def _configure(self, btf: Btf) -> None:
        loaded, options = self._sensor.object, self._options
        for program in configuration.optional_programs(options):
            loaded.ask_for(program)
        if not options.small:
            for name, value in self._constants.items():
                loaded.set_constant(".rodata", self._places[name][0], value)
        for name, entries in configuration.sizes(options).items():
            loaded.set_max_entries(name, entries)

    def _connect(self, btf: Btf) -> None:
        """Fill the maps that the programs go by, and open the buffer."""
        loaded, fds, options = self._sensor.object, self._sensor.fds, self._options
        calls = loaded.map_fd("exec_calls")
        for name, number in enum_values(btf, "exec_call").items():
            program = name[len(_CALL_PREFIX) :].lower()
            if program in fds:
                write_u32(calls, number, fds[program])
        if options.filters is not None:
            self.filter_masks = FilterMasks(options.filters, btf, loaded)
        if options.rate is not None:
            self.rates = CgroupRates(btf, loaded)
        self.owners = OwnerLosses(btf, loaded)
        if options.executables:
            self.executables = Executables(loaded)
        self._losses_fd = loaded.map_fd("losses")
        self._counters_fd = loaded.map_fd("counters")
        self._counters = enum_values(btf, "counter")
        self._processes = BpfMap(
            loaded.map_fd("processes"), _PID.size, struct_layout(btf, "process").size
        )
        if options.small:
            self._bss = DataSection.in_array(loaded, _VARIABLES, self._variables)
        else:
            self._bss = DataSection.of(loaded, _BSS)
        self._eager_forks = self._bss.word(*self._variables["eager_forks"])
        self.report_forks_eagerly(yes=True)
        fd = loaded.map_fd("events")
        if self.uses_ring:
            self._buffer = RingBuffer(fd, options.size.total)
            self._sleeps = self._bss.word(*self._variables["reader_sleeps"])
            self._fence = Fence()
        else:
            drains = self._bss.word(*self._variables["drains"])
            self._buffer = PerfBuffer(
                fd, options.size.per_cpu, self.abi.ktime_of, lambda: self._emptied(drains)
            )

    def _emptied(self, drains: Word) -> None:
        """The programs count shares of the perf buffers anew each time that they are emptied."""
        drains.store(drains.load() + 1)
        self._bss.push()

    @property
    def buffer(self) -> Union[RingBuffer, PerfBuffer]:
        """The buffer between kernel and agent; both kinds have one face."""
        assert self._buffer is not None, "the source is closed"
        return self._buffer

    @property
    def buffer_bytes(self) -> int:
        """The size of the buffer, over all CPUs."""
        return self.buffer.size

    @property
    def settle_seconds(self) -> float:
        """How long after an event its record is certain to be drained in order."""
        return self.buffer.settle_seconds

    def attach(self) -> None:
        """Start the flow of records. The first policies are loaded by now."""
        named_types.forget()
        self._sensor.attach()

    def policy_programs(self, btf_path: Optional[str]) -> Programs:
        """Who loads the programs of policies, which write into this source's buffer.

        `btf_path`: of the BTF in place of the kernel's own; it must last while policies are loaded.
        Raises LayoutError when their object is not what this agent expects.
        """
        # Imported late: most agents have no policies.
        from tetrapy.sensors.policy.programs import Programs

        self._programs = Programs(
            self._sensor.object,
            self._constants,
            btf_path,
            self.uses_ring,
            self._options.kfuncs,
        )
        self._understand_calls()
        return self._programs

    def handler(
        self,
        table: ProcessTable,
        clock: WallClock,
        details: Optional[Details],
    ) -> BaseHandler:
        """Who decodes the records."""
        tracker = ProcessTracker(table, clock, self.abi, details)
        gap = None if self.uses_ring else monotonic_gap_ns
        handler = BaseHandler(self.abi, tracker, clock, gap, self, self._options.reassembly)
        self._handler = handler
        self._understand_calls()
        return handler

    def _understand_calls(self) -> None:
        """Have the handler decode records of policies, once there are both: the first policy may
        come when the agent runs.
        """
        if self._programs is not None and self._handler is not None:
            self.calls = self._programs.handler(self._handler, self.hooks)

    def containers_changed(self, changed: Sequence[Tuple[ContainerRef, Membership]]) -> None:
        """Policies are notified of containers of which something else is known."""
        if self._handler is not None and self._handler.workloads is not None:
            self._handler.workloads.settled(changed)

    def report_forks_eagerly(self, yes: bool) -> None:
        """Report each fork when it happens, or defer its record until it matters."""
        self._eager_forks.store(int(yes))
        self._bss.push()

    def detach(self) -> None:
        """Stop the flow of records; those on their way can still be drained."""
        self._sensor.detach()

    def register(self, epoll: select.epoll) -> None:
        """Have `epoll` woken when records wait."""
        epoll.register(self.buffer.fd, self.buffer.epoll_flags)

    def drain(self, limit: int, everything: bool = False) -> List[bytes]:
        """At most `limit` records in order, of about 1 MiB.

        `everything` includes those still settling.
        """
        return self.buffer.drain(limit, everything)

    @property
    def more(self) -> bool:
        """Whether the last batch was as large as it may be, so that more may wait."""
        return self.buffer.more

    def ask_for_wakeup(self) -> bool:
        """Have the next record wake the reader; False when the kernel cannot be asked."""
        if not self.uses_ring:
            return False
        self._sleeps.store(1)
        self._fence()  # else the next look at the buffer could be before it
        return True

    def losses(self) -> Dict[str, int]:
        """Records lost so far, by kind: they found no room, or their program was skipped."""
        counts = self.buffer_losses()
        for kind, misses in self._misses().items():
            counts[kind] += misses
        return counts

    def buffer_losses(self) -> Dict[str, int]:
        """Records that found no room in the buffer, by kind."""
        names = self.abi.kind_names
        counters = read_counters(self._losses_fd, len(names))
        return {name: count for name, count in zip(names, counters) if name}

    def losses_by_owner(self) -> Dict[Owner, int]:
        """Records of the first kind of `losses` since the last call, by whose they were."""
        return self.owners.take()

    @property
    def owner_totals(self) -> Mapping[Owner, int]:
        """What `losses_by_owner` gave so far, of those that lost most."""
        return self.owners.totals

    def programs(self) -> Dict[str, ProgramInfo]:
        """What the kernel tells of the programs for each kind of records.

        Since Linux 7.0 a program may be preempted, and until it goes on the kernel skips it for
        every other task on that CPU, and counts that. Runs and times are those of all gates, misses
        are events that none let in; threads that would have made no record are counted, too.
        """
        reported, misses = {}, self._misses()
        for kind, programs in self._attached.items():
            infos = [self._sensor.info(program) for program in programs]
            reported[kind] = infos[0]._replace(
                runs=sum(info.runs for info in infos),
                run_time_ns=sum(info.run_time_ns for info in infos),
                misses=misses[kind],
            )
        return reported

    def _misses(self) -> Dict[str, int]:
        """Events that the kernel skipped every program of their hook for, by kind of records."""
        found = {}
        for kind, programs in self._attached.items():
            misses = self._sensor.info(programs[0]).misses
            if misses and len(programs) > 1:
                rescued = self._read_counters()[self._counters[_RESCUED.format(kind.upper())]]
                # An event may be on its way from the first gate to the next just now; it is not
                # lost as long as the last one was not skipped for it.
                misses = max(min(misses - rescued, self._sensor.info(programs[-1]).misses), 0)
            found[kind] = misses
        return found

    def suppressed(self) -> Dict[str, int]:
        """Events that were not sent because nobody wants them or their cgroup is throttled."""
        counters, numbers = self._read_counters(), self._counters
        return {
            ProcessExec.type: counters[numbers["COUNT_EXEC_SUPPRESSED"]],
            ProcessExit.type: counters[numbers["COUNT_EXIT_SUPPRESSED"]],
        }

    def _read_counters(self) -> List[int]:
        return read_counters(self._counters_fd, self._counters["COUNTERS"])

    def process_map(self) -> Tuple[int, int, int]:
        """Processes that the kernel remembers, that it can, and for which there was no room."""
        full = self._read_counters()[self._counters["COUNT_PROCESSES_FULL"]]
        return sum(1 for _ in self._processes), self._options.processes, full

    def forget_gone(self, is_there: Callable[[int], bool]) -> None:
        """Have the kernel forget processes that are not there any more: their exit was missed."""
        for key in list(self._processes):
            if not is_there(_PID.unpack(key)[0]):
                self._processes.delete(key)

    def forget_threads(self, is_there: Callable[[int], bool]) -> None:
        """Have the kernel side of policies forget threads that are not there any more."""
        if self._programs is None:
            return
        for threads in list(self._programs.slots.threads.values()):
            with suppress(KernelError), capabilities.raised():  # there is a next time
                threads.take_out(is_there)

    def close(self) -> None:
        """Detach and give everything back to the kernel."""
        named_types.forget()  # it may have been refused, and the process connector used
        if self._buffer is not None:
            self._buffer.close()
            self._buffer = None
        self._sensor.close()
