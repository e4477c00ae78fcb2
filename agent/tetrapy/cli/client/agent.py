# SPDX-License-Identifier: Apache-2.0
"""Commands that ask or tell the agent one thing: `status`, `info`, `loglevel`, `dump`, others."""

from __future__ import annotations

from typing import Any, Dict, List

from tetrapy.cli.client.arguments import Values
from tetrapy.cli.client.session import EVENT_LOG, SENSORS, call
from tetrapy.cli.config import write
from tetrapy.config.values import show_duration
from tetrapy.errors import SettingsError, TetrapyError
from tetrapy.go_quoting import quoted
from tetrapy.json_codec import dumps

LEVELS = ("trace", "debug", "info", "warning", "error", "fatal", "panic")

_LOG_LEVEL, _PROCESS_CACHE = "CONFIG_FLAG_LOG_LEVEL", "CONFIG_FLAG_DUMP_PROCESS_CACHE"
_PREFIX = "LOG_LEVEL_"


def status(options: Values, _arguments: List[str]) -> int:
    """`status`: how the agent is."""
    reply = call(options, "get health status", f"{SENSORS}/GetHealth")
    found = reply.get("health_status", [])
    details = found[0].get("details", "") if found else "no status available"
    return write(f"Health Status: {details}\n")


def info(options: Values, _arguments: List[str]) -> int:
    """`info`: what the agent tells of itself, as one line of JSON."""
    reply = call(options, "retrieve info", f"{SENSORS}/GetInfo")
    build = reply.get("build", {})
    document = {
        "Name": reply.get("name", ""),
        "Version": reply.get("version", ""),
        "Probes": {
            one.get("Name", ""): one.get("Enabled", False)
            for one in sorted(reply.get("probes", []), key=lambda one: str(one.get("Name", "")))
        },
        "Conf": {
            one.get("key", ""): _plain(one.get("value", {}))
            for one in sorted(reply.get("conf", []), key=lambda one: str(one.get("key", "")))
        },
        "Build": {
            "GoVersion": build.get("go_version", ""),
            "Commit": build.get("commit", ""),
            "Time": build.get("time", ""),
            "Modified": build.get("modified", ""),
        },
    }
    return write(dumps(document).decode() + "\n")


def create_container(options: Values, _arguments: List[str]) -> int:
    """`rthooks create-container`: what the hook of a container runtime tells."""
    annotations: Dict[str, str] = {}
    for pair in options["annotations"]:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"--annotations: {pair!r} is no name=value")
        annotations[name] = value
    container = {
        "cgroupsPath": options["container-id"],
        "rootDir": options["root-dir"],
        "annotations": annotations,
    }
    request = {"createContainer": {name: value for name, value in container.items() if value}}
    call(options, "trigger create-container hook", f"{SENSORS}/RuntimeHook", request)
    return 0


def _plain(value: Dict[str, Any]) -> Any:
    """The value in the message Any; 64-bit numbers are no texts in this document."""
    content = value.get("value")
    return int(str(content)) if str(value.get("@type", "")).endswith("Int64Value") else content


def level(options: Values, _arguments: List[str]) -> int:
    """`loglevel get`"""
    request = {"flag": _LOG_LEVEL}
    reply = call(options, "get current Tetragon log level", f"{SENSORS}/GetDebug", request)
    return write(f"Current log level: {_level_of(reply)}\n")


def set_level(options: Values, arguments: List[str]) -> int:
    """`loglevel set`"""
    if len(arguments) != 1:
        raise SettingsError(f"usage: loglevel set [{'|'.join(LEVELS)}]")
    wanted = {"warn": "warning"}.get(arguments[0].lower(), arguments[0].lower())
    if wanted not in LEVELS:
        raise SettingsError(f"invalid log level: {arguments[0]}")
    name = _PREFIX + {"warning": "WARN"}.get(wanted, wanted.upper())
    request = {"flag": _LOG_LEVEL, "level": name}
    reply = call(options, "set log level", f"{SENSORS}/SetDebug", request)
    return write(f"Log level set to: {_level_of(reply)}\n")


def _level_of(reply: Dict[str, Any]) -> str:
    return str(reply.get("level", f"{_PREFIX}PANIC"))  # what protobuf's zero means


def event_log(options: Values, _arguments: List[str]) -> int:
    """`eventlog get`"""
    reply = call(options, "get parameters", f"{EVENT_LOG}/GetEventLogParams")
    shown = [
        f"{name}:{quoted(value) if isinstance(value, str) else value}"
        for name, value in reply.items()
    ]
    return write(f"Current logging parameters: {' '.join(shown)}\n")


def set_event_log(options: Values, _arguments: List[str]) -> int:
    """`eventlog set`: the parameters that are given."""
    request: Dict[str, Any] = {
        field: options[flag]
        for field, flag in (("max_size", "max-size"), ("max_backups", "max-backups"))
        if options[flag] is not None
    }
    if options["rotation-interval"] is not None:
        request["rotation_interval"] = show_duration(options["rotation-interval"])
    call(options, "set parameters", f"{EVENT_LOG}/SetEventLogParams", request)
    return 0


def process_cache(options: Values, _arguments: List[str]) -> int:
    """`dump processcache`: a line of JSON for each process."""
    wanted = {
        field: True
        for field, flag in (
            ("skip_zero_refcnt", "skip-zero-refcnt"),
            ("exclude_execve_map_processes", "exclude-execve-map-processes"),
        )
        if options[flag]
    }
    request = {"flag": _PROCESS_CACHE, "dump": wanted}
    reply = call(options, "get process dump debug info", f"{SENSORS}/GetDebug", request)
    if reply.get("flag") != _PROCESS_CACHE:
        raise TetrapyError(
            f"process cache dump failed: unexpected response flag: {reply.get('flag', _LOG_LEVEL)}"
        )
    processes = reply.get("processes", {}).get("processes", [])
    return write("".join(dumps(one).decode() + "\n" for one in processes))
