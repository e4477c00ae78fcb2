# SPDX-License-Identifier: Apache-2.0
"""The half of a connection that sends: headers, messages as far as there is room, trailers."""

from __future__ import annotations

from typing import Dict, List, Optional

import h2.config
import h2.connection
import h2.errors
import h2.exceptions
import h2.settings

from tetrapy.api.call import Call
from tetrapy.api.grpc import CANCELLED, CONTENT_TYPE, RpcError, Status
from tetrapy.api.limits import CLOSED_STREAMS, HIGH, LOW, MAX_HEADERS, Allowance, Patience
from tetrapy.errors import TetrapyError

_WINDOW = 1 << 20  # bytes that a server may send before a client has to say that it read them

_Codes = h2.settings.SettingCodes
_Errors = h2.errors.ErrorCodes


class ConnectionLostError(TetrapyError):
    """The connection cannot go on; what is in `outgoing` may still be sent."""


class _H2(h2.connection.H2Connection):  # type: ignore[misc] # h2 has no types
    MAX_CLOSED_STREAMS = CLOSED_STREAMS
    DEFAULT_MAX_HEADER_LIST_SIZE = MAX_HEADERS


class Sender:
    """What both ends have: HTTP/2, the calls, and what is to be sent."""

    def __init__(self, client: bool, allowance: Allowance) -> None:
        self._client = client
        self._allowance = allowance
        self._patience = Patience()
        self._calls: Dict[int, Call] = {}
        self.outgoing = bytearray()
        self.going_away = False  # no new calls: the peer, or we, said so
        config = h2.config.H2Configuration(client_side=client, header_encoding="utf-8")
        self._h2 = _H2(config)
        if client:
            self._h2.local_settings = h2.settings.Settings(
                client=True,
                initial_values={
                    _Codes.ENABLE_PUSH: 0,
                    _Codes.INITIAL_WINDOW_SIZE: _WINDOW,
                    _Codes.MAX_HEADER_LIST_SIZE: MAX_HEADERS,
                },
            )
        self._h2.initiate_connection()
        if client:
            self._h2.increment_flow_control_window(_WINDOW)
        self._collect()

    @property
    def calls(self) -> List[Call]:
        """Those that have not ended."""
        return list(self._calls.values())

    def close(self, calm: bool = False) -> None:
        """Say goodbye; `calm` asks the peer to behave."""
        if not self.going_away:
            self.going_away = True
            code = _Errors.ENHANCE_YOUR_CALM if calm else _Errors.NO_ERROR
            try:
                self._h2.close_connection(code)
            except h2.exceptions.H2Error:
                pass
            self._collect()

    def sent(self, count: int) -> None:
        """So many bytes of `outgoing` have gone."""
        full = len(self.outgoing) >= HIGH
        del self.outgoing[:count]
        if full or len(self.outgoing) <= LOW:
            for call in self.calls:
                self.pump(call)

    def send_headers(self, call: Call) -> None:
        """As a server: the head of a response."""
        call.answered = True
        head = [
            (":status", "200"),
            ("content-type", CONTENT_TYPE),
            ("grpc-accept-encoding", "identity,deflate,gzip"),
        ]
        self._h2.send_headers(call.stream, head)
        self._collect()

    def pump(self, call: Call) -> None:
        """Send of a call what there is room for."""
        h2_ = self._h2
        try:
            if call.waiting and not self._client and not call.answered:
                self.send_headers(call)
            room = HIGH - len(self.outgoing)
            window = h2_.local_flow_control_window(call.stream) if call.waiting else 0
            while call.waiting and room > 0 and window > 0:
                data = _taken(call, min(window, h2_.max_outbound_frame_size))
                last = self._client and call.ending and not call.waiting
                h2_.send_data(call.stream, data, end_stream=last)
                self._patience.regain(4)
                room -= len(data)
                window -= len(data)
                if last:
                    call.end = []
            self._collect()
            if call.waiting:
                return
            if call.ending:
                self._end(call)
            elif len(self.outgoing) < HIGH and not call.closed:
                call.on_room()
        except (h2.exceptions.H2Error, KeyError):
            # The peer has reset the stream, and this is not yet known here.
            self._close(call, Status(CANCELLED, "the peer ended the call"))

    def _end(self, call: Call) -> None:
        if call.closed:
            return
        if self._client:
            if call.end is None:
                call.end = []
                self._h2.end_stream(call.stream)
                self._collect()
            return
        self._end_at_once(call, None)
        self._forget(call)

    def _end_at_once(self, call: Call, status: Optional[Status]) -> None:
        """Send the trailers: those of `status`, or what the call was finished with."""
        headers = (call.end or []) if status is None else status.headers()
        if not call.answered:
            headers = [(":status", "200"), ("content-type", CONTENT_TYPE), *headers]
        try:
            self._h2.send_headers(call.stream, headers, end_stream=True)
            # Whoever still sends learns that nobody listens.
            if call.stream in self._h2.streams and not self._h2.streams[call.stream].closed:
                self._h2.reset_stream(call.stream, _Errors.NO_ERROR)
        except (h2.exceptions.H2Error, KeyError):
            pass
        self._collect()

    def reset(self, call: Call) -> None:
        """End a call at once."""
        self._reset(call)
        self._forget(call)
        self._collect()

    def _refuse(self, call: Call, err: RpcError) -> None:
        """End a call whose messages are no good."""
        if self._client:
            self._reset(call)
        else:
            self._end_at_once(call, err.status)
        self._close(call, err.status)

    def _reset(self, call: Call) -> None:
        try:
            self._h2.reset_stream(call.stream, _Errors.CANCEL)
        except (h2.exceptions.H2Error, KeyError):
            pass

    def _close(self, call: Call, status: Status) -> None:
        if self._calls.get(call.stream) is call:
            self._forget(call)
            self._ended(call, status)

    def _forget(self, call: Call) -> None:
        self._calls.pop(call.stream, None)
        call.closed = True
        self._release(call)

    def _ended(self, call: Call, status: Status) -> None:
        call.closed = True
        self._release(call)
        call.on_closed(status)

    def _release(self, call: Call) -> None:
        if call.deframer is not None:
            self._allowance.left += len(call.deframer)
            call.deframer = None
        call.waiting.clear()
        call.waiting_bytes = 0

    def _collect(self) -> None:
        self.outgoing += self._h2.data_to_send()


def _taken(call: Call, room: int) -> bytes:
    """Up to so many bytes of what waits."""
    waiting = call.waiting
    first = waiting.popleft()
    if len(first) > room:
        view = memoryview(first)
        waiting.appendleft(view[room:])
        first = bytes(view[:room])
    elif len(first) < room and waiting:
        parts, size = [first], len(first)
        while waiting and size < room:
            part = waiting.popleft()
            if len(part) > room - size:
                view = memoryview(part)
                waiting.appendleft(view[room - size :])
                part = bytes(view[: room - size])
            parts.append(part)
            size += len(part)
        first = b"".join(parts)
    call.waiting_bytes -= len(first)
    return first
