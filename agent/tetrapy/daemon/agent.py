# SPDX-License-Identifier: Apache-2.0
"""One run of the agent: what is acquired, in which order, and given back in the other."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Callable, Dict, Optional

from tetrapy import visible
from tetrapy.config.settings import Settings
from tetrapy.containers.cgroup import ContainerRef
from tetrapy.daemon import choose_sensor, priority, privileges
from tetrapy.daemon.api import Api
from tetrapy.daemon.info import InfoFile
from tetrapy.daemon.loop import Loop
from tetrapy.daemon.notify import Notifier
from tetrapy.daemon.policy_directory import PolicyDirectory
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
from tetrapy.events.container import Membership
from tetrapy.export.fanout import Fanout
from tetrapy.export.subscription import Subscription
from tetrapy.export.target import SinkTarget
from tetrapy.kernel import capabilities, long_texts, malloc, privilege
from tetrapy.kernel.signals import SignalPipe
from tetrapy.log import Log
from tetrapy.pidfile import RUN_DIRECTORY, PidFile
from tetrapy.process.details import Details
from tetrapy.version import __version__

if TYPE_CHECKING:
    from tetrapy.daemon.api_services import Parts
    from tetrapy.daemon.metrics_server import MetricsServer
    from tetrapy.daemon.policies import Policies
    from tetrapy.sensors.source import EventSource

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
        self._look_again: Callable[[], None] = lambda: None  # at the directory of policies
        self._failed = failed
        self._reload_asked = False
        self._toggle_asked = False
        self._stopped_by: Optional[int] = None
        self._stopped_at = 0.0  # by the monotonic clock
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
            choose_sensor.check_user(settings)
            privilege.check_procfs()
            privilege.raise_open_files_limit()
            malloc.keep_small()
            malloc.without_huge_pages()
            text.make_with(long_texts.repaired, long_texts.joined)
            visible.write_with(long_texts.json_bytes)
            if settings.raise_priority:
                priority.ask(log)
            redactor = make_redactor(settings, log)
            wanted = wanted_details(settings, redactor)
            serving = self._serving()
            stages = make_stages(settings)
            privilege.lift_memory_lock_limit()
            self._take_pid_file(acquired)
            api = self._api(acquired)
            # Before there are threads, which could not leave a namespace.
            procfs = trusted_procfs(settings.procfs, log)
            target = open_target(settings, stages.writes, log)
            subscription = subscribe(settings, stages, target)
            acquired.callback(subscription.close)
            sensor, source, policies = choose_sensor.attached(
                settings,
                wanted,
                stages.pushdown,
                log,
                RUN_DIRECTORY,
                procfs,
                self._manager.busy,
                lambda: self._stopped_by is not None,
            )
            acquired.callback(sensor.close)
            acquired.callback(policies.end)
            self._give_up_privileges(sensor.name)
            # After the search for BTF, which forks: a process with threads had better not.
            if serving is not None:
                serving.start(source, acquired)
            epoll = acquired.enter_context(select.epoll())
            epoll.register(signal_fd, select.EPOLLIN)
            sensor.register(epoll)
            info = InfoFile(settings, source, sensor, policies, api.address if api else "", log)
            acquired.callback(info.remove)
            policies.when_changed = lambda: self._policies_changed(info, loop, policies, sensor)
            table, details = make_table(settings, wanted, sensor, procfs)
            fanout = Fanout([subscription], log, serving.counters if serving else ())
            loop = Loop(sensor, fanout, table, details, procfs, log)
            policies.when_alive = lambda: self._loads(loop)
            if settings.load_policies_at_run_time:
                self._watch_policies(loop, epoll, policies, acquired)
            if settings.enable_container_names:
                table.containers = lambda ref: self._containers(ref, loop, procfs)
            self._throttle_policies(loop, policies, sensor)
            if api is not None:
                epoll.register(api.fd, select.EPOLLIN)
                loop.clients = api
                api.watch(lambda: self._parts(fanout, loop, policies, target))
            if serving is not None:
                lost = (lambda: api.lost) if api is not None else int
                serving.watch(sensor, loop, subscription, target, details, policies, lost)
            if self._manager:
                # Imported late: only a service manager shows it.
                from tetrapy.daemon.status import Status

                acquired.callback(self._manager.close)
                name = settings.export_filename
                status = Status(sensor, source, loop, subscription, target.sink, name)
                self._after_start = lambda: self._manager.heartbeat(status.line())
                loop.after_round = self._manager.busy
            self._reload = self._first_reload(subscription, target, loop, details)
            self._watch(loop, epoll, policies)

    def _policies_changed(
        self, info: InfoFile, loop: Loop, policies: Policies, sensor: EventSource
    ) -> None:
        info.write()
        self._throttle_policies(loop, policies, sensor)

    def _throttle_policies(self, loop: Loop, policies: Policies, sensor: EventSource) -> None:
        """From the first policy on."""
        share = self._settings.policy_cpu_share
        if loop.throttle is not None or not share or not policies.entries:
            return
        # Imported late: most agents have no policies.
        from tetrapy.daemon.policy_throttle import PolicyThrottle

        loop.throttle = PolicyThrottle(share, policies, sensor, self._log)

    def _containers(self, ref: ContainerRef, loop: Loop, procfs: str) -> Membership:
        """The first container; imported then: many hosts have none."""
        from tetrapy.daemon.containers import watch

        return watch(self._settings, loop, procfs).find(ref)

    def _api(self, acquired: contextlib.ExitStack) -> Optional[Api]:
        settings = self._settings
        if not settings.server_address and not settings.health_server_address:
            return None
        api = Api(settings, self._log)
        acquired.callback(api.close)
        return api

    def _loads(self, loop: Loop) -> None:
        """A step of loading a policy is done."""
        loop.breathe()
        self._manager.busy()

    def _parts(self, fanout: Fanout, loop: Loop, policies: Policies, target: SinkTarget) -> Parts:
        # Imported late: most agents never have a client.
        from tetrapy.daemon.api_services import Parts
        from tetrapy.daemon.policy_control import PolicyControl

        settings, log = self._settings, self._log
        store = None
        if settings.persist_grpc_policies:
            from tetrapy.daemon.policy_store import PolicyStore

            store = PolicyStore(settings.persist_grpc_policies_dir)
        control = PolicyControl(policies, settings.load_policies_at_run_time, store, log)
        return Parts(settings, log, fanout, loop, control, target.sink)

    def _watch_policies(
        self, loop: Loop, epoll: select.epoll, policies: Policies, acquired: contextlib.ExitStack
    ) -> None:
        try:
            directory = PolicyDirectory(self._settings.tracing_policy_dir, policies, self._log)
        except OSError as err:  # too many who watch something
            self._log("error", "The directory of policies is not watched", error=str(err))
            return
        acquired.callback(directory.close)
        epoll.register(directory.fd, select.EPOLLIN)
        loop.directory = directory
        self._look_again = directory.look_again

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
            kept = capabilities.drop_all_but(
                privileges.needed(self._settings, sensor),
                privileges.reserve(self._settings, sensor),
            )
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
        loop.stop(self._settings.stop_timeout / _SECOND, self._stopped_at)

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
                self._look_again()
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
            if self._stopped_by is None:
                self._stopped_at = time.monotonic()
            self._stopped_by = number
