# SPDX-License-Identifier: Apache-2.0
"""What the agent answers to clients of the API. Imported when the first one connects."""

from __future__ import annotations

import platform
from typing import Any, Dict, Iterator, List, Tuple

from tetrapy.api import reflection
from tetrapy.api.codec import Message, encode
from tetrapy.api.event_encoder import EventEncoder, process_bytes
from tetrapy.api.grpc import FAILED_PRECONDITION, INVALID_ARGUMENT, RpcError
from tetrapy.api.health import HealthService
from tetrapy.api.router import Context, Handler, Router
from tetrapy.api.services import EVENT_LOG, SENSORS, TETRAGON
from tetrapy.api.streams import Streams
from tetrapy.api.wire import BYTES, sized, tag
from tetrapy.config.duration import parse as parse_duration
from tetrapy.config.duration import show as show_duration
from tetrapy.config.settings import Settings
from tetrapy.daemon.loop import Loop
from tetrapy.daemon.policy_control import PolicyControl
from tetrapy.daemon.runtime_hook import RuntimeHook
from tetrapy.daemon.start import node_name
from tetrapy.errors import SettingsError
from tetrapy.events.process import Process
from tetrapy.events.text import to_text
from tetrapy.export.fanout import Fanout
from tetrapy.export.stages import abilities
from tetrapy.kernel.clock import WallClock
from tetrapy.log import Log
from tetrapy.process.budget import with_parents
from tetrapy.sinks.file import FileSink
from tetrapy.sinks.sink import Sink
from tetrapy.version import __version__

NAME = "tetrapy"
_PREFIX = f"/{TETRAGON}.{SENSORS}/"
_LOG_PREFIX = f"/{TETRAGON}.{EVENT_LOG}/"
_MEGABYTE = 1 << 20
_MAX_DUMP = 8 << 20  # bytes of a dump of the process table; clients take 10 MiB

_LEVELS: Dict[str, str] = {
    f"LOG_LEVEL_{name.upper()}": name
    for name in ("panic", "fatal", "error", "warn", "info", "debug", "trace")
}
_LEVEL_NAMES = {**{level: name for name, level in _LEVELS.items()}, "warning": "LOG_LEVEL_WARN"}


class Parts:
    """What clients learn of the agent."""

    def __init__(
        self,
        settings: Settings,
        log: Log,
        fanout: Fanout,
        loop: Loop,
        policies: PolicyControl,
        sink: Sink,
    ) -> None:
        self.settings = settings
        self.log = log
        self.loop = loop
        self.sink = sink
        self.health = HealthService((f"{TETRAGON}.{SENSORS}", f"{TETRAGON}.{EVENT_LOG}"))
        self.policies = policies
        cluster = to_text(settings.cluster_name.encode("utf-8", "surrogateescape"))
        self.streams = Streams(
            fanout,
            lambda: EventEncoder(node_name(), cluster),
            abilities(settings)._replace(pid_sets=True),
            settings.event_queue_size,
            lambda: WallClock().now(),
            loop.handler.forget_filters,
            log,
        )


def router(parts: Parts) -> Router:
    """The API's calls, with reflection and health."""
    handlers: Dict[str, Handler] = {
        **{f"{_PREFIX}{name}": one for name, one in _handlers(parts).items()},
        **{f"{_LOG_PREFIX}{name}": one for name, one in EventLog(parts).handlers().items()},
        **parts.policies.handlers(),
        **parts.health.handlers(),
    }
    return Router({**handlers, **reflection.handlers(handlers)}, parts.log)


def health_router(parts: Parts) -> Router:
    """The calls at the address of the health service."""
    handlers = parts.health.handlers()
    return Router({**handlers, **reflection.handlers(handlers)}, parts.log)


def _handlers(parts: Parts) -> Dict[str, Handler]:
    debug = Debug(parts)
    return {
        "GetEvents": parts.streams.get_events,
        "GetHealth": _health,
        "GetVersion": lambda request, context: {"version": __version__},
        "GetInfo": lambda request, context: _info(parts.settings),
        "RuntimeHook": RuntimeHook(parts.loop, parts.settings, parts.log).call,
        "GetDebug": debug.get,
        "SetDebug": debug.set,
    }


def _health(request: Message, context: Context) -> Message:
    status = {
        "event": "HEALTH_STATUS_TYPE_STATUS",
        "status": "HEALTH_STATUS_RUNNING",
        "details": "running",
    }
    return {"health_status": [status]}


def _info(settings: Settings) -> Message:
    return {
        "version": __version__,
        "name": NAME,
        "conf": [{"key": key, "value": _any(value)} for key, value in settings.items().items()],
        "build": {"go_version": f"none: Python {platform.python_version()}"},
    }


def _any(value: Any) -> Dict[str, Any]:
    """A setting's value, as the wrapper of its type."""
    kind, shown = "StringValue", value
    if isinstance(value, bool):
        kind = "BoolValue"
    elif isinstance(value, int):
        kind, shown = "Int64Value", str(value)
    elif isinstance(value, (tuple, list)):
        kind, shown = "ListValue", [to_text(_raw(one)) for one in value]
    else:
        shown = to_text(_raw("" if value is None else value))
    return {"@type": f"type.googleapis.com/google.protobuf.{kind}", "value": shown}


def _raw(value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogateescape")


class Debug:
    """Log level, and what the process table holds."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def get(self, request: Message, context: Context) -> Any:
        """GetDebug."""
        if request.get("flag") == "CONFIG_FLAG_DUMP_PROCESS_CACHE":
            return self._dump(request.get("dump", {}))
        return self._level()

    def set(self, request: Message, context: Context) -> Message:
        """SetDebug. Raises RpcError."""
        if request.get("flag") or "level" not in request:
            raise RpcError(INVALID_ARGUMENT, "SetDebug changes the log level: flag 0 and a level")
        level = _LEVELS.get(request["level"])
        if level is None:
            raise RpcError(INVALID_ARGUMENT, f"there is no log level {request['level']}")
        log = self._parts.log
        log("info", f"Log level is now {level}", client=context.client)
        log.configure(level)
        return self._level()

    def _level(self) -> Message:
        return {"level": _LEVEL_NAMES[self._parts.log.level]}

    def _dump(self, asked: Message) -> bytes:
        """The reply, spliced out of bytes that most processes have ready."""
        head = tag(1, BYTES)
        entries: List[bytes] = []
        size = 0
        for process, count in self._images(asked):
            rest = encode("ProcessInternal", _references(count))
            entry = head + sized(head + process_bytes(process) + rest)
            size += len(entry)
            if size > _MAX_DUMP:
                self._parts.log("warn", "A dump of the process table is cut", entries=len(entries))
                break
            entries.append(entry)
        flag = encode("GetDebugResponse", {"flag": "CONFIG_FLAG_DUMP_PROCESS_CACHE"})
        return flag + tag(3, BYTES) + sized(b"".join(entries))

    def _images(self, asked: Message) -> Iterator[Tuple[Process, Tuple[int, int]]]:
        """Images with how often they are referred to: as running processes, and as parents."""
        live = list(self._parts.loop.table)
        running = {id(one) for one in live}
        images = with_parents(live)
        children: Dict[int, int] = {}
        for one in images:
            if one.parent is not None:
                children[id(one.parent)] = children.get(id(one.parent), 0) + 1
        for one in images:
            is_live = id(one) in running
            if not (is_live and asked.get("exclude_execve_map_processes")):
                yield one, (int(is_live), children.get(id(one), 0))


def _references(count: Tuple[int, int]) -> Message:
    process, parent = count
    ops = {
        name: number for name, number in (("process++", process), ("parent++", parent)) if number
    }
    return {"color": "inUse", "refcnt": process + parent, "refcnt_ops": ops}


class EventLog:
    """The rules of the export file."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def handlers(self) -> Dict[str, Handler]:
        """The calls, by name."""
        return {"GetEventLogParams": self.get, "SetEventLogParams": self.set}

    def get(self, request: Message, context: Context) -> Message:
        """Raises RpcError for an agent without an export file."""
        rules = self._sink().rotation.rules
        return {
            "max_size": rules.max_size // _MEGABYTE,
            "rotation_interval": show_duration(rules.interval),
            "max_backups": rules.max_backups,
        }

    def set(self, request: Message, context: Context) -> Message:
        """Raises RpcError for values that make no sense."""
        sink = self._sink()
        rules = sink.rotation.rules
        if request.get("max_size", 1) < 1 or request.get("max_backups", 0) < 0:
            raise RpcError(INVALID_ARGUMENT, "sizes begin at 1 MB, numbers of backups at 0")
        if "max_size" in request:
            rules = rules._replace(max_size=request["max_size"] * _MEGABYTE)
        if "max_backups" in request:
            rules = rules._replace(max_backups=request["max_backups"])
        if "rotation_interval" in request:
            rules = rules._replace(interval=_interval(request["rotation_interval"]))
        sink.rotation.follow(rules)
        self._parts.log(
            "info",
            "Rules of the export file are changed",
            client=context.client,
            **{key: str(value) for key, value in request.items()},
        )
        return {}

    def _sink(self) -> FileSink:
        sink = self._parts.sink
        if not isinstance(sink, FileSink):
            raise RpcError(FAILED_PRECONDITION, "events are not exported into a file")
        return sink


def _interval(text: str) -> int:
    try:
        interval = parse_duration(text) if text else 0
    except (SettingsError, ValueError) as err:
        raise RpcError(INVALID_ARGUMENT, f"{text!r} is no duration: {err}") from err
    if interval < 0:
        raise RpcError(INVALID_ARGUMENT, "an interval is not negative")
    return interval
