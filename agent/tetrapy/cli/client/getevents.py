# SPDX-License-Identifier: Apache-2.0
"""`getevents`: events of the agent, or of an export file on standard input."""

from __future__ import annotations

import os
import signal
import stat
import time
from typing import Any, Callable, Dict, Iterator, List, NoReturn

from tetrapy.cli.btf.output import warn
from tetrapy.cli.client.arguments import Values
from tetrapy.client.colors import Colors, wanted
from tetrapy.client.compact import Compact, UnprintableError
from tetrapy.config.values import show_duration
from tetrapy.errors import TetrapyError
from tetrapy.json_codec import dumps, json_text

EXIT_OK, EXIT_FAILED, EXIT_UNREAD = 0, 1, 141
_STDIN, _STDOUT = 0, 1
_BLOCK = 1 << 16  # bytes that are read at once
_MAX_SHOWN = 500  # characters of an event that an error shows

Event = Dict[str, Any]
Encode = Callable[[Event], bytes]


def run(options: Values, _arguments: List[str]) -> int:
    """Print events until there are no more; returns the exit code."""
    encode = _encoder(options)
    if not stat.S_ISCHR(os.fstat(_STDIN).st_mode):
        return _print(_recorded(options), encode)
    while True:
        code = EXIT_FAILED
        try:
            code = _print(_from_agent(options), encode)
        except Interrupted:
            return EXIT_OK
        except TetrapyError as err:
            if not options["reconnect"]:
                raise
            failed: Any = err
        else:
            if not options["reconnect"] or code == EXIT_UNREAD:
                return code
            failed = "the stream has ended"
        wait = show_duration(options["reconnect-wait"])
        warn(f"getevents: err:{failed} retrying in {wait}")
        try:
            time.sleep(options["reconnect-wait"] / 1e9)
        except Interrupted:
            return EXIT_OK


class Interrupted(BaseException):
    """SIGINT or SIGTERM: the end of a stream that has no other."""


def _interrupt(_number: int, _frame: Any) -> NoReturn:
    raise Interrupted


def filter_of(options: Values) -> Event:
    """The flags as a message Filter: only fields that they set."""
    fields = {
        "binary_regex": options["process"] + options["processes"],
        "namespace": options["namespace"] + options["namespaces"] + ("",) * options["host"],
        "pod_regex": options["pod"] + options["pods"],
        "container_name_regex": options["containers"],
        "event_set": options["event-types"],
        "policy_names": options["policy-names"],
        "namespace_regex": options["namespace-regex"],
        "cel_expression": options["cel-expression"],
    }
    return {name: list(values) for name, values in fields.items() if values}


def request_of(options: Values) -> Event:
    """The flags as a message GetEventsRequest."""
    return {"allow_list": [filter_of(options)], "field_filters": field_filters_of(options)}


def field_filters_of(options: Values) -> List[Event]:
    """The flags as messages FieldFilter."""
    return [
        {"fields": ",".join(options[flag]), "action": action}
        for flag, action in (("include-fields", "INCLUDE"), ("exclude-fields", "EXCLUDE"))
        if options[flag]
    ]


def _encoder(options: Values) -> Encode:
    if options["tty-encode"]:
        return lambda event: _terminal(event, options["tty-encode"])
    if options["output"] == "json":
        return lambda event: dumps(event) + b"\n"
    colors = Colors(wanted(options["color"], os.environ, os.isatty(_STDOUT)))
    compact = Compact(colors, options["timestamps"], options["stack-traces"], options["ima-hash"])
    return lambda event: compact.lines(event).encode()


def _terminal(event: Event, path: str) -> bytes:
    """What a call wrote to the terminal of this path."""
    from base64 import b64decode

    args = event.get("process_kprobe", {}).get("args", [])
    if len(args) < 2 or args[0].get("file_arg", {}).get("path", "") != path:
        return b""
    return b64decode(args[1].get("bytes_arg", ""))


def _print(batches: Iterator[List[Event]], encode: Encode) -> int:
    """Write what is read as it comes; returns the exit code."""
    code = EXIT_OK
    for events in batches:
        lines = []
        for event in events:
            try:
                lines.append(encode(event))
            except UnprintableError as err:
                # Tetragon's client stops here. The events behind it are worth as much as before.
                code = EXIT_FAILED
                shown = json_text(event)[:_MAX_SHOWN]
                if not _write(b"".join(lines)):
                    return EXIT_UNREAD
                lines = []
                warn(f"Error: failed to encode event {shown}: {err}")
        if not _write(b"".join(lines)):
            return EXIT_UNREAD
    return code


def _write(data: bytes) -> bool:
    """Whether somebody reads it."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(_STDOUT, view) :]
        except BrokenPipeError:
            return False
    return True


def _from_agent(options: Values) -> Iterator[List[Event]]:
    """The events as they happen, until the agent ends the stream. Raises TetrapyError."""
    from tetrapy.api.grpc import RpcError
    from tetrapy.cli.client import session

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        method = f"{session.SENSORS}/GetEvents"
        with session.replies(options, method, request_of(options)) as events:
            for event in events:
                yield [event]
    except RpcError as err:
        raise TetrapyError(f"failed to receive events: {session.status_text(err.status)}") from None


def _recorded(options: Values) -> Iterator[List[Event]]:
    """The events on standard input that are asked for, as they come.

    Raises SettingsError for a filter that is none, TetrapyError for a line that is too long.
    """
    from tetrapy.client.event_filter import of_recorded
    from tetrapy.client.recorded import event_of
    from tetrapy.filters.field_filters import field_filters_of as parsed

    passes = of_recorded(filter_of(options))
    change = parsed(field_filters_of(options), "fields")
    for lines in _lines(max(_BLOCK, options["max-recv-size"])):
        events = []
        for line in lines:
            try:
                event = event_of(line)
            except ValueError as err:
                if options["debug"]:
                    shown = line.decode(errors="replace")[:_MAX_SHOWN]
                    warn(f"DEBUG: failed unmarshal: {shown}: {err}")
                continue
            if passes(event):
                events.append(_changed(event, change))
        yield events


def _changed(event: Event, change: Any) -> Event:
    """The event with the fields that are to be shown."""
    if change is None:
        return event
    from tetrapy.events.schema import EVENTS

    name = next((one for one in EVENTS if one in event), "")
    own = change.of_type(name.upper()) if name else None
    return event if own is None else {**event, name: own(event[name])}


def _lines(longest: int) -> Iterator[List[bytes]]:
    """The lines of standard input, those of a read together."""
    rest = b""
    while True:
        block = os.read(_STDIN, _BLOCK)
        *lines, rest = (rest + block).split(b"\n") if block else (rest, b"")
        if max(map(len, (*lines, rest))) > longest:
            raise TetrapyError("failed to receive events: a line is longer than --max-recv-size")
        yield [line for line in lines if line]
        if not block:
            return
