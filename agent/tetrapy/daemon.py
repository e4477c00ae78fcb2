"""The agent: wires settings, sensor, process table and sink; the main loop."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import time
from typing import Callable, Dict, List, Optional

from tetrapy.btf import discovery, host, unpack
from tetrapy.config.settings import Settings
from tetrapy.errors import KernelError, NotPermittedError, ReadOnlyError
from tetrapy.events.json import Dump, JsonEncoder, dump_with_json
from tetrapy.events.text import to_text
from tetrapy.kernel import bundle, features, privilege
from tetrapy.kernel.clock import WallClock
from tetrapy.kernel.native import load_orjson
from tetrapy.kernel.signals import SignalPipe
from tetrapy.pidfile import RUN_DIRECTORY, PidFile
from tetrapy.pipeline.exporter import Exporter
from tetrapy.process import seed
from tetrapy.process.table import ProcessTable
from tetrapy.process.tracker import ProcessTracker
from tetrapy.sensors.base import OBJECTS, BaseSensor, BufferSize
from tetrapy.sensors.dispatch import Dispatcher
from tetrapy.sensors.loss import LossCounter
from tetrapy.sinks.stream import LineSink, open_file, standard_output
from tetrapy.version import __version__

STANDARD_OUTPUT = "-"

_BATCH = 512  # records decoded and written at a time; bounds the memory of a burst
_TICK = 0.05  # seconds between two looks at a buffer that is in use
_QUIET_TICKS = 3  # looks that find nothing before the reader sleeps
_CARE_INTERVAL = 10.0  # seconds between two looks at clocks and losses
_BUFFER_PER_CPU, _LEAST_BUFFER, _LARGEST_BUFFER = 1 << 20, 2 << 20, 16 << 20  # bytes
_SIGNALS: Dict[int, str] = {signal.SIGINT: "interrupt", signal.SIGTERM: "terminated"}

Log = Callable[..., None]


class Agent:
    """One run of the agent, from settings to the last line."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log
        self._stopped_by: Optional[int] = None
        self._received = 0
        self._sleeping = False
        self._next_care = 0.0
        self._sweeps = 0  # looks for processes whose exit was lost

    def run(self) -> None:
        """Start, watch until a signal comes, and stop.

        Raises TetrapyError when it cannot start. Whatever it acquired is given back.
        """
        log, settings = self._log, self._settings
        log("info", "Starting tetrapy", version=__version__)
        log("debug", "config settings", config=settings.items())
        with contextlib.ExitStack() as acquired:
            # First, so that a signal during the start leads to an orderly stop as well.
            self._signal_fd = acquired.enter_context(SignalPipe(_SIGNALS, self._on_signal))
            privilege.lift_memory_lock_limit()
            privilege.check_bpf()
            self._take_pid_file(acquired)
            self._exporter = self._open_exporter()
            acquired.callback(self._exporter.close)
            self._sensor = self._load_sensor()
            acquired.callback(self._sensor.close)
            self._watch()

    def _take_pid_file(self, acquired: contextlib.ExitStack) -> None:
        try:
            pid_file = PidFile(RUN_DIRECTORY)
        except ReadOnlyError as err:
            self._log("warn", "No pid file, so a second instance goes unnoticed", error=str(err))
            return
        acquired.callback(pid_file.remove)
        self._log(
            "info",
            "tetrapy pid file creation succeeded",
            pid=os.getpid(),
            pidfile=pid_file.path,
        )

    def _open_exporter(self) -> Exporter:
        name = self._settings.export_filename
        if name == STANDARD_OUTPUT:
            sink = standard_output()
        elif name:
            sink = open_file(name)
        else:
            sink = LineSink(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), os.devnull, owned=True)
        self._log("info", "Exporter configuration", enabled=bool(name), fileName=name)
        return Exporter(JsonEncoder(node_name(), _json_dump()), sink, self._log)

    def _watch(self) -> None:
        sensor = self._sensor
        self._table = table = ProcessTable(node_name(), self._settings.procfs)
        self._clock = WallClock()
        tracker = ProcessTracker(table, self._clock.format, sensor.abi.exec_flags)
        self._dispatcher = Dispatcher(sensor.abi, tracker, 0)
        self._losses = LossCounter(sensor.abi.kind_names)
        with select.epoll() as epoll:
            self._epoll = epoll
            epoll.register(self._signal_fd, select.EPOLLIN)
            sensor.register(epoll)
            hooks = sensor.attach()
            self._log("debug", "Attached", hooks=" ".join(hooks))
            self._dispatcher.clock_gap = sensor.clock_gap
            self._seed(table, tracker)
            self._log("info", "Listening for events...")
            # What exists now lives as long as the agent; looking at it again is wasted work.
            gc.collect()
            gc.freeze()
            self._loop()
            self._stop()

    def _load_sensor(self) -> BaseSensor:
        settings, log = self._settings, self._log
        source = discovery.find_btf(
            host.current(),
            lambda: bundle.read("btfs/archive.xz"),
            log,
            user_path=settings.btf,
            places=discovery.Places(bpf_lib=settings.bpf_lib),
            read_objects=lambda: [bundle.read(name) for name in OBJECTS],
        )
        use_ring = not settings.use_perf_ring_buffer and features.has_ring_buffer()
        cpus = os.cpu_count() or 1
        chosen = min(max(cpus * _BUFFER_PER_CPU, _LEAST_BUFFER), _LARGEST_BUFFER)
        total = settings.rb_size_total or settings.rb_size * cpus or chosen
        with unpack.custom_path(source, RUN_DIRECTORY) as path:
            try:
                sensor = BaseSensor(use_ring, BufferSize.of(total, cpus), path)
            except KernelError as err:
                if path is None or isinstance(err, NotPermittedError):
                    raise
                text = f"{err}; the kernel's types came from {source.origin}: do they fit it?"
                raise KernelError(text, err.errno, err.log) from err
        kind = "BPF ring buffer size (bytes)" if use_ring else "Perf buffer size (bytes)"
        log("info", kind, total=sensor.buffer_bytes)
        return sensor

    def _seed(self, table: ProcessTable, tracker: ProcessTracker) -> None:
        """Tell of the processes that were there before, then of what happened meanwhile."""
        try:
            seen, listed = seed.read_all(self._settings.procfs)
        except OSError as err:
            raise KernelError(
                f"procfs {self._settings.procfs}: {err.strerror}; name the host's with --procfs"
            ) from err
        records: List[bytes] = []
        while True:
            batch = self._sensor.drain(_BATCH, everything=True)
            records.extend(batch)
            if len(batch) < _BATCH:
                break
        processes = seed.fill(table, seen, self._dispatcher.touched(records))
        self._exporter.export([tracker.on_seed(process) for process in processes])
        self._log(
            "info", f"Read ProcFS {self._settings.procfs} appended {len(seen)}/{listed} entries"
        )
        self._handle(records)

    def _handle(self, records: List[bytes]) -> None:
        self._received += len(records)
        events = self._dispatcher.events(records)
        if events:
            self._exporter.export(events)

    def _loop(self) -> None:
        """Take records in batches until a signal comes.

        In use, the buffer is looked at every tick, so that one wake-up serves many records; the
        kernel wakes the reader earlier when much waits. When ticks find nothing the reader sleeps
        and the next record wakes it.
        """
        poll, drain = self._epoll.poll, self._sensor.drain
        quiet = 0
        timeout = 0.0
        while self._stopped_by is None:
            if self._exporter.reader_is_gone:
                self._log("warn", "Nobody reads the events any more, stopping")
                return
            poll(timeout)
            records = drain(_BATCH)
            if records:
                self._handle(records)
                quiet = 0
                timeout = 0.0 if len(records) == _BATCH else _TICK
            else:
                quiet += 1
                timeout = _TICK
            if quiet >= _QUIET_TICKS and self._sensor.ask_for_wakeup():
                # A record that came before the request wakes nobody, so look once more.
                timeout = 0.0 if quiet == _QUIET_TICKS else self._care_timeout()
            now = time.monotonic()
            if now >= self._next_care:
                self._next_care = now + _CARE_INTERVAL
                self._take_care()

    def _care_timeout(self) -> float:
        return max(0.0, self._next_care - time.monotonic())

    def _take_care(self) -> None:
        self._clock.refresh()
        self._sensor.refresh_clock()
        self._dispatcher.clock_gap = self._sensor.clock_gap
        self._report_losses()

    def _report_losses(self) -> None:
        new = self._losses.update(self._sensor.loss_counters())
        if new:
            self._log("warn", "Kernel events lost", **new, hint="raise --rb-size-total")
            self._sweeps = 2
        if self._sweeps:
            self._sweeps -= 1
            self._table.forget_gone()

    def _stop(self) -> None:
        """Detach, take what is still in the buffer, and say what was seen."""
        if self._stopped_by is not None:
            name = _SIGNALS[self._stopped_by]
            self._log("info", f"Received signal {name}, shutting down...")
        self._sensor.detach()
        while True:
            records = self._sensor.drain(_BATCH, everything=True)
            if not records:
                break
            self._handle(records)
        self._report_losses()
        lost = self._losses.total
        share = 100 * lost / (self._received + lost) if lost else 0
        self._log(
            "info",
            f"BPF events statistics: {self._received} received, {share:.2g}% events loss",
        )
        self._log(
            "info",
            "Observer events statistics",
            received=self._received,
            lost=lost,
            errors=self._dispatcher.errors,
            filterPass=0,
            filterDrop=0,
        )

    def _on_signal(self, number: int) -> None:
        self._stopped_by = number


def node_name() -> str:
    """The machine's name in events."""
    environment = os.environb
    name = environment.get(b"HUBBLE_NODE_NAME") or environment.get(b"NODE_NAME")
    return to_text(name or os.uname().nodename.encode("utf-8", "surrogateescape"))


def _json_dump() -> Dump:
    orjson = load_orjson()
    return dump_with_json if orjson is None else orjson.dumps
