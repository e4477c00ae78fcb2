"""Events as JSON lines: protojson with the names of the .proto file, no white space.

A process is encoded once; a line is its bytes between constant ones.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Union

from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.events.process import Process

Event = Union[ProcessExec, ProcessExit]
Dump = Callable[[Any], bytes]


def dump_with_json(value: Any) -> bytes:
    """The standard library's encoder, set to give the same bytes as orjson."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class JsonEncoder:
    """Event -> one line, ended by a line feed."""

    def __init__(self, node_name: str, dump: Dump) -> None:
        self._dump = dump
        node = dump(node_name)
        self._exec = (
            b'{"process_exec":{"process":%b%b},"node_name":' + node.replace(b"%", b"%%")
        ) + b',"time":"%b"}\n'
        self._exit = (
            b'{"process_exit":{"process":%b%b%b,"time":"%b"},"node_name":'
            + node.replace(b"%", b"%%")
        ) + b',"time":"%b"}\n'

    def encode(self, event: Event) -> bytes:
        """The event's line."""
        process = event.process
        body = process.json
        if body is None:
            body = process.json = self._dump(process.fields())
        parent = event.parent
        shown = b"" if parent is None else b',"parent":' + (parent.json or self._encode(parent))
        if isinstance(event, ProcessExec):
            return self._exec % (body, shown, process.start_time.encode())
        time = event.time.encode()
        end = b""
        if event.code:
            name, status = event.signal, event.status
            if name:
                end = b',"signal":"%b"' % name.encode()
            if status:
                end += b',"status":%d' % status
        return self._exit % (body, shown, end, time, time)

    def _encode(self, process: Process) -> bytes:
        body = process.json = self._dump(process.fields())
        return body
