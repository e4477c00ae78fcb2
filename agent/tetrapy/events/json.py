# SPDX-License-Identifier: Apache-2.0
"""Events as JSON lines: protojson with the names of the .proto file, no white space.

A process is encoded once, and its JSON kept for later lines (events/encoders.py has the messages).
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from tetrapy.events.caller import keep
from tetrapy.events.cut import json_size, shorten
from tetrapy.events.encoders import FORMATS
from tetrapy.events.event import Event
from tetrapy.events.text import rfc3339
from tetrapy.json_codec import dumps, loads, quoted
from tetrapy.visible import json_bytes

MAX_BYTES = 2 << 20  # of a line, unless the settings say otherwise
MIN_BYTES = 64 << 10  # what a line needs: a process and a parent of which every text is cut
_ANCESTORS = 640 << 10  # bytes that the ancestors of one line may take, half of it at most
_FLAGS = 100  # bytes for the words that say what is cut

# Messages alone: `%.0b` takes the time, and writes none of it.
_BODIES = {name: message + b"%.0b" for name, message in FORMATS.items()}

Change = Callable[[Dict[str, Any]], Dict[str, Any]]  # of an event's message


def body_of(event: Event) -> Dict[str, Any]:
    """The event's own message, without what all events have; unset fields are left out."""
    ancestors = b",".join([one.json or keep(one) for one in event.ancestors])
    return _body(event, b"[" + ancestors + b"]" if ancestors else b"")


def _body(event: Event, ancestors: bytes) -> Dict[str, Any]:
    message: Dict[str, Any] = loads(event.encoded(_BODIES, keep, ancestors))
    return message


class JsonEncoder:
    """Event -> one line, ended by a line feed.

    A line has at most `max_bytes`; of one that would have more the texts of the process and of the
    call are cut, and flags say so. The most distant of many ancestors are left out.
    """

    def __init__(self, node_name: str, cluster_name: str = "", max_bytes: int = MAX_BYTES) -> None:
        """`cluster_name` is shown by each event unless it is empty."""
        self._most = max(max_bytes, MIN_BYTES)
        self.cut_lines = 0  # that were too long
        self.cut_ancestors = 0  # that were left out
        self._node = b',"node_name":' + _escaped(node_name) + b',"time":"%b"'
        self._cluster = b',"cluster_name":' + _escaped(cluster_name) if cluster_name else b""
        self._lines = self._formats(FORMATS, 1)

    def encode(self, event: Event, change: Optional[Change] = None, count: int = 1) -> bytes:
        """The event's line: of its message as `change` leaves it, for so many events."""
        ancestors = self._ancestors(event) if event.ancestors else b""
        if change is None and count == 1:
            line = event.encoded(self._lines, keep, ancestors)
        else:
            line = self._changed(event, ancestors, change, count)
        if len(line) > self._most:
            return self._cut(event, ancestors, change, count, len(line))
        return line

    def _changed(
        self, event: Event, ancestors: bytes, change: Optional[Change], count: int
    ) -> bytes:
        if change is None:
            return event.encoded(self._formats(FORMATS, count), keep, ancestors)
        body = dumps(change(_body(event, ancestors)))
        line = self._formats({event.name: b"%b"}, count)[event.name]
        return line % (body, rfc3339(event.time).encode())

    def _formats(self, messages: Dict[str, bytes], count: int) -> Dict[str, bytes]:
        """The formats of whole lines out of those of messages; the time comes last."""
        info = b',"aggregation_info":{"count":"%d"}' % count if count > 1 else b""
        more = self._node + info + self._cluster + b"}\n"
        return {
            name: b'{"' + name.encode() + b'":' + message + more
            for name, message in messages.items()
        }

    def _cut(
        self, event: Event, ancestors: bytes, change: Optional[Change], count: int, size: int
    ) -> bytes:
        """The line of an event that takes `size` bytes whole."""
        self.cut_lines += 1
        assert event.process is not None  # no other has long texts
        process = event.process.copy()
        texts = json_size(process.arguments)
        texts += sum(json_size(key) + json_size(text) for key, text in process.environment)
        own = event.own_sizes()
        most = self._most - (size - texts - sum(own)) - _FLAGS
        # As much for the process's arguments as for the variables and for each text of the event.
        most //= 1 + (1 if process.environment else 0) + len(own)
        while True:
            most = max(most, 0)
            shorten(process, most)
            line = self._changed(event.of(process, most), ancestors, change, count)
            if len(line) <= self._most or not most:
                return line
            most //= 2

    def _ancestors(self, event: Event) -> bytes:
        """Those that there is room for."""
        room = min(_ANCESTORS, self._most // 2)
        encoded: List[bytes] = []
        for one in event.ancestors:
            body = one.json or keep(one)
            room -= len(body)
            if room < 0:
                self.cut_ancestors += len(event.ancestors) - len(encoded)
                break
            encoded.append(body)
        return b"[" + b",".join(encoded) + b"]"


def _escaped(text: str) -> bytes:
    """A JSON string, as part of a template for the operator %."""
    return json_bytes(quoted(text)).replace(b"%", b"%%")
