# SPDX-License-Identifier: Apache-2.0
"""One run of the agent: what is acquired, in which order, and given back in the other."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
from typing import TYPE_CHECKING, Callable, Dict, Optional

from tetrapy.config.settings import Settings
from tetrapy.daemon import priority, privileges, sensing
from tetrapy.daemon.info import InfoFile
from tetrapy.daemon.loop import Loop
from tetrapy.daemon.notify import Notifier
from tetrapy.daemon.start import (
    make_redactor,
    make_stages,
    make_table,
    open_target,
    subscribe,
    trusted_procfs,
    wanted_details,
)
from tetrapy.errors import KernelError, MetricsError, ReadOnlyError
from tetrapy.events import text
from tetrapy.export.fanout import Fanout
from tetrapy.export.subscription import Subscription
from tetrapy.export.target import SinkTarget
from tetrapy.kernel import capabilities, malloc, privilege, utf8
from tetrapy.kernel.signals import SignalPipe
from tetrapy.log import Log
from tetrapy.pidfile import RUN_DIRECTORY, PidFile
from tetrapy.process.details import Details
from tetrapy.version import __version__

if TYPE_CHECKING:
    from tetrapy.daemon.metrics_server import MetricsServer
    from tetrapy.daemon.policies import Policies

_STANDARD_INPUT = 0
_SECOND = 1_000_000_000

# SIGUSR1 switches to log level debug and back; SIGHUP has settings read again.
_SIGNALS: Dict[int, str] = {
    signal.SIGINT: "interrupt",
    signal.SIGTERM: "terminated",
    signal.SIGUSR1: "user defined signal 1",
    signal.SIGHUP: "hangup",
}


class Agent:
    """From settings to the last line."""

    def __init__(
        self,
        settings: Settings,
        log: Log,
        reread: Optional[Callable[[], Settings]] = None,
        failed: Callable[[], bool] = lambda: False,
    ) -> None:
        """`reread` gives the settings of now, for SIGHUP; `failed` asks for an end of the run."""
        self._settings = settings
        self._log = log
        self._reread = reread or (lambda: settings)
        self._reload: Callable[[], None] = lambda: None
        self._failed = failed
        self._reload_asked = False
        self._toggle_asked = False
        self._stopped_by: Optional[int] = None
        self._manager = Notifier(os.environ)
        self._after_start: Callable[[], None] = lambda: None  # what each round of the loop does

    def run(self) -> None:
        """Start, watch until a signal comes, and stop.

        Raises TetrapyError when it cannot start. Whatever it acquired is given back.
        """
        log, settings = self._log, self._settings
        with contextlib.ExitStack() as acquired:
            # First, so that a signal during the start leads to an orderly stop as well.
            signal_fd = acquired.enter_context(SignalPipe(_SIGNALS, self._on_signal))
            log("info", "Starting tetrapy", version=__version__)
            log("info", "config settings", config=settings.logged())
            sensing.check_user(settings)
            privilege.check_procfs()
            privilege.raise_open_files_limit()
            malloc.keep_small()
            text.repair_with(utf8.repaired)
            if settings.raise_priority:
                priority.ask(log)
            redactor = make_redactor(settings, log)
            wanted = wanted_details(settings, redactor)
            serving = self._serving()
            stages = make_stages(settings)
            privilege.lift_memory_lock_limit()
            self._take_pid_file(acquired)
            # Before there are threads, which could not leave a namespace.
            procfs = trusted_procfs(settings.procfs, log)
            target = open_target(settings, stages.writes, log)
            subscription = subscribe(settings, stages, target)
            acquired.callback(subscription.close)
            sensor, source, policies = sensing.attached(
                settings, wanted, stages.pushdown, log, RUN_DIRECTORY, procfs
            )
            acquired.callback(sensor.close)
            acquired.callback(policies.close)
            self._give_up_privileges(sensor.name)
            # After the search for BTF, which forks: a process with threads had better not.
            if serving is not None:
                serving.start(source, acquired)
            epoll = acquired.enter_context(select.epoll())
            epoll.register(signal_fd, select.EPOLLIN)
            sensor.register(epoll)
            acquired.callback(
                InfoFile(RUN_DIRECTORY, settings, source, sensor, policies, log).remove
            )
            table, details = make_table(settings, wanted, sensor, procfs)
            fanout = Fanout([subscription], log, serving.counters if serving else ())
            loop = Loop(sensor, fanout, table, details, procfs, log)
            if serving is not None:
                serving.watch(sensor, loop, subscription, target, details, policies)
            if self._manager:
                # Imported late: only a service manager shows it.
                from tetrapy.daemon.status import Status

                acquired.callback(self._manager.close)
                name = settings.export_filename
                status = Status(sensor, source, loop, subscription, target.sink, name)
                self._after_start = lambda: self._manager.heartbeat(status.line())
                loop.after_round = self._manager.starting
            self._reload = self._first_reload(subscription, target, loop, details)
            self._watch(loop, epoll, policies)

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

    def _give_up_privileges(self, sensor: str) -> None:
        """Before there are other threads, which would keep theirs."""
        try:
            kept = capabilities.drop_all_but(privileges.needed(self._settings, sensor))
        except KernelError as err:
            self._log("warn", "Privileges that are not needed any more are kept", error=str(err))
            return
        self._log("info", "Capabilities kept", capabilities=", ".join(kept) or "none")

    def _serving(self) -> Optional[MetricsServer]:
        settings = self._settings
        if not settings.metrics_server and not settings.healthz_address:
            return None
        # Imported late: an agent that serves nothing pays nothing for it.
        try:
            from tetrapy.daemon.metrics_server import MetricsServer
        except ImportError as err:  # a Python that lacks a part of its library
            raise MetricsError(
                f"metrics cannot be served: {err}; take a Python that has it"
            ) from err
        return MetricsServer(settings, self._log)

    def _watch(self, loop: Loop, epoll: select.epoll, policies: Policies) -> None:
        loop.seed()
        self._log("info", "Listening for events...")
        # What exists now lives as long as the agent; looking at it again is wasted work.
        gc.collect()
        gc.freeze()
        gc.enable()
        self._manager.ready()
        loop.after_round = self._after_start
        loop.run(epoll, self._stopped)
        self._manager.stopping()
        if self._stopped_by is not None:
            name = _SIGNALS[self._stopped_by]
            self._log("info", f"Received signal {name}, shutting down...")
        policies.detach()  # else their records have no end
        loop.stop(self._settings.stop_timeout / _SECOND)

    def _stopped(self) -> Optional[int]:
        """The signal that ends the run, 0 after a failure elsewhere.

        What other signals ask for is done here, between two batches: a handler may run within a
        write to the log, or where an exception would be taken for another.
        """
        if self._failed():
            return 0
        if self._toggle_asked:
            self._toggle_asked = False
            self._log("info", f"Log level is now {self._log.toggle_debug()}")
        if self._reload_asked:
            self._reload_asked = False
            with self._manager.reloading():
                self._reload()
        return self._stopped_by

    def _first_reload(
        self,
        subscription: Subscription,
        target: SinkTarget,
        loop: Loop,
        details: Optional[Details],
    ) -> Callable[[], None]:
        def reload() -> None:
            # Imported late: most agents never read their settings again.
            from tetrapy.daemon.reload import Reload

            parts = (subscription, target.sink, loop.handler, details)
            self._reload = Reload(self._settings, self._reread, self._log, *parts)
            self._reload()

        return reload

    def _on_signal(self, number: int) -> None:
        # Of an agent that somebody started at a terminal, a hangup is the end.
        if number == signal.SIGHUP and not os.isatty(_STANDARD_INPUT):
            self._reload_asked = True
        elif number == signal.SIGUSR1:
            self._toggle_asked = True
        else:
            self._stopped_by = number
