# SPDX-License-Identifier: Apache-2.0
"""Events as JSON lines: protojson with the names of the .proto file, no white space.

A process is encoded once (events/process.py); a line is its bytes between constant ones.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Union

from tetrapy.events.cut import json_size, shorten
from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.events.process import Process
from tetrapy.events.rate_limit import RateLimitInfo
from tetrapy.events.throttle import ProcessThrottle
from tetrapy.json_codec import dumps, quoted
from tetrapy.visible import json_bytes

_KEPT = 8192  # bytes of a process that are kept for the next line; longer ones are encoded anew

MOST_BYTES = 2 << 20  # of a line, unless the settings say otherwise
LEAST_BYTES = 64 << 10  # what a line needs: a process and a parent of which every text is cut
_ANCESTORS = 640 << 10  # bytes that the ancestors of one line may take, half of it at most
_FLAGS = 100  # bytes for the words that say what is cut

Change = Callable[[Dict[str, Any]], Dict[str, Any]]  # of an event's message

Event = Union[ProcessExec, ProcessExit, ProcessThrottle, RateLimitInfo]


def body_of(event: Event) -> Dict[str, Any]:
    """The event's own message, without what all events have; unset fields are left out."""
    if isinstance(event, ProcessThrottle):
        return {"type": event.action, "cgroup": event.cgroup}
    if isinstance(event, RateLimitInfo):
        return {"number_of_dropped_process_events": str(event.dropped)}
    body: Dict[str, Any] = {"process": _shown(event)}
    if event.parent is not None:
        body["parent"] = event.parent.fields()
    if isinstance(event, ProcessExit):
        if event.signal:
            body["signal"] = event.signal
        if event.status:
            body["status"] = event.status
        body["time"] = event.time
    if event.ancestors:
        body["ancestors"] = [ancestor.fields() for ancestor in event.ancestors]
    return body


def _shown(event: Union[ProcessExec, ProcessExit]) -> Dict[str, Any]:
    """The process as this event shows it: an exec tells of its binary too."""
    process = event.process
    fields = process.fields()
    properties = process.binary_properties
    file = process.executed
    if file is not None and not file.told:
        file = None
    if not isinstance(event, ProcessExec) or (properties is None and file is None):
        return fields
    if properties is not None:
        # Tetragon shows a copy of the process then, and copies carry the reference count.
        fields.setdefault("refcnt", 1)
        fields["binary_properties"] = properties.fields()
    if file is not None:
        fields.setdefault("binary_properties", {})["file"] = file.properties()
        fields["executed_file"] = file.fields()
    return {name: fields[name] for name in _ORDER if name in fields}


# The fields of `Process` in the order of their numbers.
_ORDER = (
    "exec_id pid uid cwd binary arguments flags start_time auid docker parent_exec_id refcnt cap ns"
    " tid process_credentials binary_properties user in_init_tree environment_variables"
    " executed_file"
).split()


class JsonEncoder:
    """Event -> one line, ended by a line feed.

    A line has at most `most_bytes`; of one that would have more the texts of the process are cut,
    and its flags say so. The most distant of many ancestors are left out.
    """

    def __init__(
        self, node_name: str, cluster_name: str = "", most_bytes: int = MOST_BYTES
    ) -> None:
        """`cluster_name` is shown by each event unless it is empty."""
        self._node_name = node_name
        self._cluster_name = cluster_name
        self._most = max(most_bytes, LEAST_BYTES)
        self.cut_lines = 0  # that were too long
        self.cut_ancestors = 0  # that were left out
        node = b',"node_name":' + _escaped(node_name) + b',"time":"%b"'
        if cluster_name:
            node += b',"cluster_name":' + _escaped(cluster_name)
        self._exec = b'{"process_exec":{"process":%b%b}' + node + b"}\n"
        self._exit = b'{"process_exit":{"process":%b%b%b,"time":"%b"%b}' + node + b"}\n"

    def encode(self, event: Event, change: Optional[Change] = None, count: int = 1) -> bytes:
        """The event's line: of its message as `change` leaves it, for so many events."""
        if change is None and count == 1:
            line = self._whole(event)
        else:
            line = self._changed(event, change or _unchanged, count)
        if len(line) > self._most:
            return self._cut(event, change, count, len(line))
        return line

    def _whole(self, event: Event) -> bytes:
        if isinstance(event, ProcessExec):
            process = event.process
            file = process.executed
            if process.binary_properties is not None or (file is not None and file.told):
                return self._changed(event, _unchanged, 1)
            body = process.json or self._encode(process)
            parent = event.parent
            shown = b"" if parent is None else b',"parent":' + (parent.json or self._encode(parent))
            if event.ancestors:
                shown += self._ancestors(event)
            return self._exec % (body, shown, process.start_time.encode())
        if isinstance(event, ProcessExit):
            process, parent = event.process, event.parent
            body = process.json or self._encode(process)
            shown = b"" if parent is None else b',"parent":' + (parent.json or self._encode(parent))
            ancestors = self._ancestors(event) if event.ancestors else b""
            time = event.time.encode()
            end = b""
            if event.code:
                name, status = event.signal, event.status
                if name:
                    end = b',"signal":"%b"' % name.encode()
                if status:
                    end += b',"status":%d' % status
            return self._exit % (body, shown, end, time, ancestors, time)
        return self._changed(event, _unchanged, 1)

    def _changed(self, event: Event, change: Change, count: int) -> bytes:
        if isinstance(event, (ProcessExec, ProcessExit)) and event.ancestors:
            self._ancestors(event)
        return self.line(event, change(body_of(event)), count if count > 1 else 0)

    def _cut(self, event: Event, change: Optional[Change], count: int, size: int) -> bytes:
        """The line of an event that takes `size` bytes whole."""
        self.cut_lines += 1
        assert isinstance(event, (ProcessExec, ProcessExit))  # no other has long texts
        process = event.process.copy()
        texts = json_size(process.arguments)
        texts += sum(json_size(key) + json_size(text) for key, text in process.environment)
        most = self._most - (size - texts) - _FLAGS
        if process.environment:
            most //= 2  # for the arguments, and as much for the variables
        while True:
            most = max(most, 0)
            shorten(process, most)
            if isinstance(event, ProcessExec):
                event = ProcessExec(process, event.parent, event.ancestors)
            else:
                event = ProcessExit(process, event.parent, event.code, event.time, event.ancestors)
            if change is None and count == 1:
                line = self._whole(event)
            else:
                line = self._changed(event, change or _unchanged, count)
            if len(line) <= self._most or not most:
                return line
            most //= 2

    def line(self, event: Event, body: Dict[str, Any], count: int = 0) -> bytes:
        """The line of an event whose message is `body`.

        `count`, unless it is 0, says that the line stands for so many events.
        """
        out: Dict[str, Any] = {
            event.name: body,
            "node_name": self._node_name,
            "time": event.time,
        }
        if count:
            out["aggregation_info"] = {"count": str(count)}
        if self._cluster_name:
            out["cluster_name"] = self._cluster_name
        return dumps(out) + b"\n"

    def _ancestors(self, event: Union[ProcessExec, ProcessExit]) -> bytes:
        """Those that there is room for; the event has no others from then on."""
        room = min(_ANCESTORS, self._most // 2)
        encoded: List[bytes] = []
        for one in event.ancestors:
            body = one.json or self._encode(one)
            room -= len(body)
            if room < 0:
                self.cut_ancestors += len(event.ancestors) - len(encoded)
                event.ancestors = event.ancestors[: len(encoded)]
                break
            encoded.append(body)
        return b',"ancestors":[' + b",".join(encoded) + b"]"

    def _encode(self, process: Process) -> bytes:
        body = process.encoded()
        if len(body) <= _KEPT:
            process.json = body
        return body


def _unchanged(body: Dict[str, Any]) -> Dict[str, Any]:
    return body


def _escaped(text: str) -> bytes:
    """A JSON string, as part of a template for the operator %."""
    return json_bytes(quoted(text)).replace(b"%", b"%%")
