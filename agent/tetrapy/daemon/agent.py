"""One run of the agent: what is acquired, in which order, and given back in the other."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
from typing import Callable, Dict, Optional

from tetrapy.btf.source import BtfSource
from tetrapy.config.settings import Settings
from tetrapy.daemon import btf
from tetrapy.daemon.info import InfoFile
from tetrapy.daemon.loop import Loop
from tetrapy.daemon.start import load_sensor, node_name, open_exporter, trusted_procfs
from tetrapy.errors import MetricsError, ReadOnlyError
from tetrapy.kernel import privilege
from tetrapy.kernel.signals import SignalPipe
from tetrapy.pidfile import RUN_DIRECTORY, PidFile
from tetrapy.version import __version__

_SIGNALS: Dict[int, str] = {signal.SIGINT: "interrupt", signal.SIGTERM: "terminated"}

Log = Callable[..., None]


class Agent:
    """From settings to the last line."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log
        self._stopped_by: Optional[int] = None

    def run(self) -> None:
        """Start, watch until a signal comes, and stop.

        Raises TetrapyError when it cannot start. Whatever it acquired is given back.
        """
        log, settings = self._log, self._settings
        with contextlib.ExitStack() as acquired:
            # First, so that a signal during the start leads to an orderly stop as well.
            signal_fd = acquired.enter_context(SignalPipe(_SIGNALS, self._on_signal))
            log("info", "Starting tetrapy", version=__version__)
            log("debug", "config settings", config=settings.items())
            privilege.lift_memory_lock_limit()
            privilege.check_bpf()
            self._take_pid_file(acquired)
            exporter = open_exporter(settings, log)
            acquired.callback(exporter.close)
            source = btf.find(settings, log)
            self._serve_metrics(source, acquired)
            sensor = load_sensor(settings, source, log, RUN_DIRECTORY)
            acquired.callback(sensor.close)
            epoll = acquired.enter_context(select.epoll())
            epoll.register(signal_fd, select.EPOLLIN)
            sensor.register(epoll)
            sensor.attach()
            acquired.callback(InfoFile(RUN_DIRECTORY, settings, source, log).remove)
            procfs = trusted_procfs(settings.procfs, log)
            self._watch(Loop(sensor, exporter, node_name(), procfs, log), epoll)

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

    def _serve_metrics(self, source: BtfSource, acquired: contextlib.ExitStack) -> None:
        # After the search for BTF, which forks: a process with threads had better not.
        if not self._settings.metrics_server:
            return
        # Imported late: an agent that serves no metrics pays nothing for them.
        try:
            from tetrapy.metrics.about import About
            from tetrapy.metrics.server import serve
        except ImportError as err:  # prometheus_client wants ssl and more, which some Pythons lack
            text = f"metrics cannot be served: {err}; take a Python that has it"
            raise MetricsError(text) from err
        server = serve(self._settings.metrics_server, [About(source)], self._log)
        acquired.callback(server.close)

    def _watch(self, loop: Loop, epoll: select.epoll) -> None:
        loop.seed()
        self._log("info", "Listening for events...")
        # What exists now lives as long as the agent; looking at it again is wasted work.
        gc.collect()
        gc.freeze()
        gc.enable()
        loop.run(epoll, lambda: self._stopped_by)
        if self._stopped_by is not None:
            name = _SIGNALS[self._stopped_by]
            self._log("info", f"Received signal {name}, shutting down...")
        loop.stop()

    def _on_signal(self, number: int) -> None:
        self._stopped_by = number
