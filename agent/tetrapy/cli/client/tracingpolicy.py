# SPDX-License-Identifier: Apache-2.0
"""`tracingpolicy`: policies of a running agent, and what files of them say."""

from __future__ import annotations

import sys
from typing import Any, Dict, List

from tetrapy.api.grpc import UNIMPLEMENTED
from tetrapy.cli.client.arguments import Values
from tetrapy.cli.client.session import SENSORS, CallError, call
from tetrapy.cli.config import write
from tetrapy.client.policy_table import lines
from tetrapy.config.dropins import read_text
from tetrapy.daemon.policy_library import PREFIX, policy_text
from tetrapy.errors import SettingsError, TetrapyError
from tetrapy.go_quoting import quoted
from tetrapy.json_codec import dumps
from tetrapy.policy.mode import with_mode

_MODES = {"enforce": "TP_MODE_ENFORCE", "monitor": "TP_MODE_MONITOR"}


def add(options: Values, arguments: List[str]) -> int:
    """`tracingpolicy add FILE`"""
    path = arguments[0]
    text = _text_of(path, options["mode"])
    request = _named({"yaml": text}, options)
    call(options, "add tracing policy", f"{SENSORS}/AddTracingPolicy", request)
    return write(f"tracing policy {quoted(path)} added\n")


def delete(options: Values, arguments: List[str]) -> int:
    """`tracingpolicy delete NAME`"""
    request = _named({"name": arguments[0]}, options)
    call(options, "delete tracing policy", f"{SENSORS}/DeleteTracingPolicy", request)
    return write(f"tracing policy {quoted(arguments[0])} deleted\n")


def enable(options: Values, arguments: List[str]) -> int:
    """`tracingpolicy enable NAME`"""
    _configure(options, "enable tracing policy", arguments[0], {"enable": True})
    return write(f"tracing policy {quoted(arguments[0])} enabled\n")


def disable(options: Values, arguments: List[str]) -> int:
    """`tracingpolicy disable NAME`"""
    _configure(options, "disable tracing policy", arguments[0], {"enable": False})
    return write(f"tracing policy {quoted(arguments[0])} disabled\n")


def set_mode(options: Values, arguments: List[str]) -> int:
    """`tracingpolicy set-mode NAME MODE`"""
    name, mode = arguments
    if mode not in _MODES:
        raise SettingsError(f"invalid mode: {mode}")
    what = f"set mode to {quoted(mode)} tracing policy"
    _configure(options, what, name, {"mode": _MODES[mode]})
    return write(f"tracing policy {quoted(name)} set to mode {quoted(mode)}\n")


def modify(options: Values, arguments: List[str]) -> int:
    """`tracingpolicy modify FILE`: the file with another mode, on standard output."""
    return write(_text_of(arguments[0], options["mode"]))


def list_all(options: Values, _arguments: List[str]) -> int:
    """`tracingpolicy list`"""
    request = _named({}, options)
    reply = call(options, "list tracing policies", f"{SENSORS}/ListTracingPolicies", request)
    if options["output"] == "json":
        return write(dumps(reply).decode() + "\n")
    return write("".join(line + "\n" for line in lines(reply.get("policies", []))))


def domains(options: Values, _arguments: List[str]) -> int:
    """`tracingpolicy domains`"""
    reply = call(options, "list domains", f"{SENSORS}/ListDomains")
    if options["output"] == "json":
        return write(dumps(reply).decode() + "\n")
    return write(f"[{' '.join(reply.get('domains', []))}]\n")


def _configure(options: Values, what: str, name: str, change: Dict[str, Any]) -> None:
    request = _named({"name": name}, options)
    try:
        call(options, what, f"{SENSORS}/ConfigureTracingPolicy", {**request, **change})
    except CallError as err:
        # Agents before 1.4 have two calls in its place, and no modes.
        if err.code != UNIMPLEMENTED or "enable" not in change:
            raise
        method = "EnableTracingPolicy" if change["enable"] else "DisableTracingPolicy"
        call(options, what, f"{SENSORS}/{method}", request)


def _named(request: Dict[str, Any], options: Values) -> Dict[str, Any]:
    """The request with namespace and domain, where they are given."""
    more = {name: options.get(name, "") for name in ("namespace", "domain")}
    return {**request, **{name: value for name, value in more.items() if value}}


def _text_of(path: str, mode: str) -> str:
    """What a file says, with a mode of its own if one is given. Raises TetrapyError."""
    try:
        if path.startswith(PREFIX):
            text = policy_text(path)
        else:
            text = sys.stdin.read() if path == "-" else read_text(path)
    except (OSError, SettingsError) as err:
        why = err.strerror if isinstance(err, OSError) else err
        raise TetrapyError(f"failed to read yaml file {path}: {why}") from None
    if not mode:
        return text
    try:
        return with_mode(text, mode)
    except SettingsError as err:
        raise TetrapyError(
            f"failed to apply mode {quoted(mode)} to yaml file {path}: {err}"
        ) from None
