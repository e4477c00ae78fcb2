"""Events as JSON lines: protojson with the names of the .proto file, no white space.

A process is encoded once (events/process.py); a line is its bytes between constant ones.
"""

from __future__ import annotations

from typing import Any, Dict, Tuple, Union

from tetrapy.events.compact import compact
from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.events.process import Process
from tetrapy.events.rate_limit import RateLimitInfo
from tetrapy.events.throttle import ProcessThrottle

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
    if process.binary_properties is None or not isinstance(event, ProcessExec):
        return fields
    out: Dict[str, Any] = {}
    for name in _ORDER:
        if name == "refcnt":
            # Tetragon shows a copy of the process then, and copies carry the reference count.
            out[name] = fields.get(name, 1)
        elif name == "binary_properties":
            out[name] = process.binary_properties.fields()
        elif name in fields:
            out[name] = fields[name]
    return out


# The fields of `Process` in the order of their numbers.
_ORDER = (
    "exec_id pid uid cwd binary arguments flags start_time auid docker parent_exec_id refcnt cap ns"
    " tid process_credentials binary_properties user in_init_tree environment_variables"
).split()


class JsonEncoder:
    """Event -> one line, ended by a line feed."""

    def __init__(self, node_name: str, cluster_name: str = "") -> None:
        """`cluster_name` is shown by each event unless it is empty."""
        self._node_name = node_name
        self._cluster_name = cluster_name
        node = b',"node_name":' + _escaped(node_name) + b',"time":"%b"'
        if cluster_name:
            node += b',"cluster_name":' + _escaped(cluster_name)
        self._exec = b'{"process_exec":{"process":%b%b}' + node + b"}\n"
        self._exit = b'{"process_exit":{"process":%b%b%b,"time":"%b"%b}' + node + b"}\n"

    def encode(self, event: Event) -> bytes:
        """The event's line."""
        if isinstance(event, ProcessExec):
            process = event.process
            if process.binary_properties is not None:
                return self.line(event, body_of(event))
            body = process.json or self._encode(process)
            parent = event.parent
            shown = b"" if parent is None else b',"parent":' + (parent.json or self._encode(parent))
            if event.ancestors:
                shown += self._ancestors(event.ancestors)
            return self._exec % (body, shown, process.start_time.encode())
        if isinstance(event, ProcessExit):
            process, parent = event.process, event.parent
            body = process.json or self._encode(process)
            shown = b"" if parent is None else b',"parent":' + (parent.json or self._encode(parent))
            ancestors = self._ancestors(event.ancestors) if event.ancestors else b""
            time = event.time.encode()
            end = b""
            if event.code:
                name, status = event.signal, event.status
                if name:
                    end = b',"signal":"%b"' % name.encode()
                if status:
                    end += b',"status":%d' % status
            return self._exit % (body, shown, end, time, ancestors, time)
        return self.line(event, body_of(event))

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
        return compact(out).encode() + b"\n"

    def _ancestors(self, ancestors: Tuple[Process, ...]) -> bytes:
        encoded = [one.json or self._encode(one) for one in ancestors]
        return b',"ancestors":[' + b",".join(encoded) + b"]"

    def _encode(self, process: Process) -> bytes:
        body = process.json = process.encoded()
        return body


def _escaped(text: str) -> bytes:
    """A JSON string, as part of a template for the operator %."""
    return compact(text).encode().replace(b"%", b"%%")
