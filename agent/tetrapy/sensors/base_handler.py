# SPDX-License-Identifier: Apache-2.0
"""Records of the base sensor -> events, in the order in which the kernel wrote them."""

from __future__ import annotations

from typing import Callable, Dict, Iterable, List, Optional, Protocol, Sequence, Set, Tuple

from tetrapy.containers.cgroup import ContainerRef
from tetrapy.events.container import Membership
from tetrapy.events.decoder import EventAbi
from tetrapy.events.event import Event
from tetrapy.events.process import Process
from tetrapy.events.records import ExecRecord
from tetrapy.events.text import command_line_text, to_text
from tetrapy.events.throttle import START, STOP, ProcessThrottle
from tetrapy.kernel.clock import WallClock
from tetrapy.process.procfs import TICK_NS
from tetrapy.process.seed import Executed, Touched
from tetrapy.process.tracker import ProcessTracker
from tetrapy.sensors.dispatch import Dispatcher
from tetrapy.sensors.filter_masks import FilterMasks
from tetrapy.sensors.reassembly import CAPACITY, Reassembly
from tetrapy.sensors.throttle import CgroupRates

# Most execs need no look at the other members here, so no record is made of them.
_FLAGS = ExecRecord._fields.index("flags")
_ENV_SIZE = ExecRecord._fields.index("env_size")


class KernelSide(Protocol):
    """What a handler asks of the source whose records it decodes."""

    filter_masks: Optional[FilterMasks]  # when the kernel decides for export filters
    rates: Optional[CgroupRates]  # when rates of cgroups are limited

    def report_forks_eagerly(self, yes: bool) -> None:
        """Report each fork when it happens, or defer its record until it matters."""


class Calls(Protocol):
    """Who decodes records of calls, some of which wait for others."""

    def late(self) -> List[Event]:
        """Events that found no place among those of the records."""

    def ended(self) -> List[Event]:
        """No record comes any more: what waited for one."""

    pushed: int  # calls that waited for their return

    def merges(self) -> Dict[Tuple[str, str], int]:
        """What became of those: by function and `ok` or `error`."""


class Workloads(Protocol):
    """Who keeps what policies have to know of cgroups."""

    def learn(self, number: int, names: bytes) -> None:
        """A program was executed in a cgroup of these names."""

    def seeded(self) -> None:
        """The processes that are there are known."""

    def settled(self, changed: Sequence[Tuple[ContainerRef, Membership]]) -> None:
        """Something else is known of containers now."""


class BaseHandler:
    """Decodes each record and gives it to the tracker; other kinds are added to `dispatcher`."""

    def __init__(
        self,
        abi: EventAbi,
        tracker: ProcessTracker,
        clock: WallClock,
        measure_gap: Optional[Callable[[], int]] = None,
        kernel: Optional[KernelSide] = None,
        capacity: int = CAPACITY,
    ) -> None:
        """`measure_gap` tells what record times lack, in ns; None if nothing.

        `capacity`: how many long arguments may wait for their exec.
        """
        self.clock = clock
        self._measure_gap = measure_gap
        self._kernel = kernel
        self.clock_gap = 0  # time spent suspended, where records do not count it
        self.refresh_clock()
        self.abi = abi
        self.tracker = tracker
        self._kind_offset = abi.kind_offset
        self._exec, self._exit = abi.decoders["exec"], abi.decoders["exit"]
        self._apart = abi.exec_flags["EXEC_ARGS_APART"]
        self._args_error = abi.exec_flags["EXEC_ARGS_ERROR"]
        self._cgroup_unknown = (
            abi.exec_flags["EXEC_CGROUP_PARTIAL"] | abi.exec_flags["EXEC_CGROUP_ERROR"]
        )
        self._env_error = abi.exec_flags["EXEC_ENV_ERROR"]
        self._area_args, self._area_env = abi.areas["AREA_ARGS"], abi.areas["AREA_ENV"]
        self.reassembly = Reassembly(capacity)
        self._filter_masks: Optional[FilterMasks] = None  # from `seeded` on
        self._rates = None if kernel is None else kernel.rates
        self.is_seeded = False
        self.workloads: Optional[Workloads] = None  # who is notified of cgroups
        self.calls: Optional[Calls] = None  # who decodes the records of policies
        self.dispatcher = dispatcher = Dispatcher(abi)
        dispatcher.add("exec", self._on_exec)
        dispatcher.add("args", self._on_args)
        dispatcher.add("fork", self._on_fork)
        dispatcher.add("exit", self._on_exit)
        dispatcher.add("throttle", self._on_throttle)
        self.events = dispatcher.events

    @property
    def errors(self) -> int:
        """Records that made no sense."""
        return self.dispatcher.errors

    @property
    def starting(self) -> bool:
        """Whether records are handled that came before procfs was read."""
        return self.tracker.starting

    @starting.setter
    def starting(self, yes: bool) -> None:
        self.tracker.starting = yes

    def seed_event(self, process: Process) -> Event:
        """What is reported of a process that was there before."""
        return self.tracker.on_seed(process)

    def seeded(self, processes: Iterable[Process]) -> None:
        """From now on fork records are deferred until they matter, and the kernel may suppress
        processes.
        """
        self.is_seeded = True
        kernel = self._kernel
        if kernel is not None:
            self._filter_masks = kernel.filter_masks
            if self._filter_masks is not None:
                self._filter_masks.seed(processes)
            kernel.report_forks_eagerly(yes=False)
        if self.workloads is not None:
            self.workloads.seeded()

    def forget_filters(self) -> None:
        """The kernel keeps nothing back from now on; user space decides alone."""
        if self._filter_masks is not None:
            self._filter_masks.clear()
            self._filter_masks = None

    def refresh_clock(self) -> None:
        """Measure the distance between the clocks again."""
        if self._measure_gap is not None:
            self.clock_gap = self._measure_gap()

    def tick(self, now: int) -> List[Event]:
        """Cgroups that are throttled no longer, and calls that waited for their return in vain."""
        events = self.calls.late() if self.calls is not None else []
        rates = self._rates
        if rates is not None and rates.any_throttled:
            time = self.clock.at(now)
            ended = rates.ended(now - self.clock_gap)
            events += [ProcessThrottle(STOP, name, time) for name in ended]
        return events

    def ended(self) -> List[Event]:
        """No record comes any more: what waited for one."""
        return self.calls.ended() if self.calls is not None else []

    def touched(self, records: List[bytes]) -> Touched:
        """Which processes forked or executed, according to `records`."""
        forked: Set[Tuple[int, int]] = set()
        executed: Dict[int, Executed] = {}
        fork, execute = self.abi.decoders["fork"], self._exec
        for data in records:
            kind = data[self._kind_offset : self._kind_offset + 1]
            if kind == b"%c" % fork.kind and len(data) >= fork.size:
                record = fork.make(fork.unpack(data))
                forked.add((record.pid, record.start // TICK_NS))
            elif kind == b"%c" % execute.kind and len(data) >= execute.size:
                record = execute.make(execute.unpack(data))
                at = execute.size + record.path_size
                arguments = data[at : at + (0 if record.flags & self._apart else record.args_size)]
                text = command_line_text(arguments)
                path = to_text(data[execute.size : at])
                executed.setdefault(record.pid, Executed(record.ktime + self.clock_gap, path, text))
        return Touched(forked, executed)

    def _on_exec(self, data: bytes) -> Optional[Event]:
        values = self._exec.unpack(data)
        if (
            values[_FLAGS] & self._apart
            or values[_ENV_SIZE]
            or self.clock_gap
            or self._filter_masks
            or self.workloads
        ):
            return self._on_rare_exec(self._exec.make(values), data)
        return self.tracker.on_exec(values, data, self._exec.size, b"")

    def _on_rare_exec(self, record: ExecRecord, data: bytes) -> Optional[Event]:
        """Parts came ahead, the clock counts otherwise, or the binary may have no filter masks."""
        arguments = environment = b""
        if record.flags & self._apart:
            arguments = self._claim(record, self._area_args, record.args_size)
            if len(arguments) != record.args_size:  # a chunk was lost, and counted as lost
                record = record._replace(flags=record.flags | self._args_error)
            if not arguments:
                record = record._replace(args_size=0)
        if record.env_size:
            environment = self._claim(record, self._area_env, record.env_size)
            if len(environment) != record.env_size:
                record = record._replace(flags=record.flags | self._env_error)
        if self.clock_gap:
            record = record._replace(ktime=record.ktime + self.clock_gap)
        event = self.tracker.on_exec(record, data, self._exec.size, arguments, environment)
        if self.workloads is not None and not record.flags & self._cgroup_unknown:
            end = len(data) - record.file_size - record.context_size
            self.workloads.learn(record.cgroup_id, data[end - record.cgroup_size : end])
        if self._filter_masks is not None and event is not None:
            path = data[self._exec.size : self._exec.size + record.path_size]
            self._filter_masks.learn(path, record.cgroup_id, event.process)
        return event

    def _claim(self, record: ExecRecord, area: int, size: int) -> bytes:
        return self.reassembly.claim((record.pid, record.ktime, area), size)

    def _on_args(self, data: bytes) -> Optional[Event]:
        decoder = self.abi.decoders["args"]
        record = decoder.make(decoder.unpack(data))
        chunk = data[decoder.size : decoder.size + record.args_size]
        self.reassembly.add((record.pid, record.ktime, record.area), record.offset, chunk)
        return None

    def _on_throttle(self, data: bytes) -> Optional[Event]:
        decoder = self.abi.decoders["throttle"]
        record = decoder.make(decoder.unpack(data))
        name = to_text(data[decoder.size : decoder.size + record.cgroup_size])
        if self._rates is None or not self._rates.began(record.cgroup_id, name):
            return None
        return ProcessThrottle(START, name, self.clock.at(record.ktime + self.clock_gap))

    def _on_fork(self, data: bytes) -> Optional[Event]:
        decoder = self.abi.decoders["fork"]
        record = decoder.make(decoder.unpack(data))
        if self.clock_gap:
            record = record._replace(ktime=record.ktime + self.clock_gap)
        self.tracker.on_fork(record)
        return None

    def _on_exit(self, data: bytes) -> Optional[Event]:
        values = self._exit.unpack(data)
        if self.clock_gap:
            record = self._exit.make(values)
            values = record._replace(ktime=record.ktime + self.clock_gap)
        return self.tracker.on_exit(values)
