# SPDX-License-Identifier: Apache-2.0
"""gRPC on one HTTP/2 connection, for both ends, over whatever carries bytes.

Bytes of the peer go into `receive`; what is to be sent is in `outgoing`, from which `sent` takes
what has gone. Nothing here waits or knows of sockets.

What a peer can make grow has a bound (limits.py): calls at a time, headers, messages that are not
whole yet, answers that it does not read, and frames that cost work and bring nothing.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Optional, Type

import h2.errors
import h2.events
import h2.exceptions

from tetrapy.api.call import Call, Headers
from tetrapy.api.grpc import (
    CANCELLED,
    CONTENT_TYPE,
    DEADLINE_EXCEEDED,
    INTERNAL,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    Deframer,
    RpcError,
    Status,
    check_encoding,
    parse_timeout,
    timeout_text,
)
from tetrapy.api.limits import MAX_OUTGOING, Allowance
from tetrapy.api.sending import ConnectionLostError, Sender

__all__ = ["Allowance", "Connection", "ConnectionLostError"]

_UNBOUNDED = 1 << 62
_USER_AGENT = "grpc-tetrapy"
_CANCEL = h2.errors.ErrorCodes.CANCEL


class Connection(Sender):
    """One end of a connection."""

    def __init__(
        self,
        client: bool,
        on_call: Optional[Callable[[Call], None]] = None,
        allowance: Optional[Allowance] = None,
    ) -> None:
        """`on_call` is given each call that a client makes; a server needs it."""
        super().__init__(client, allowance or Allowance(_UNBOUNDED))
        self._on_call = on_call
        self._handlers: Dict[Type[Any], Callable[[Any], None]] = {
            h2.events.RequestReceived: self._request,
            h2.events.ResponseReceived: self._response,
            h2.events.TrailersReceived: self._trailers,
            h2.events.DataReceived: self._data,
            h2.events.StreamEnded: self._stream_ended,
            h2.events.StreamReset: self._stream_reset,
            h2.events.WindowUpdated: self._window,
            h2.events.PingReceived: self._control,
            h2.events.RemoteSettingsChanged: self._control,
            h2.events.PriorityUpdated: self._control,
            h2.events.UnknownFrameReceived: self._control,
            h2.events.ConnectionTerminated: self._goodbye,
        }

    # --- what comes -------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes of the peer. Raises ConnectionLostError; every call is closed then."""
        try:
            for event in self._h2.receive_data(data):
                handle = self._handlers.get(type(event))
                if handle is not None:
                    handle(event)
        except ConnectionLostError as err:
            self._lose(str(err))
            raise
        except Exception as err:
            # Of bytes that are no HTTP/2, h2 and hpack raise more than they document.
            self._lose(f"{type(err).__name__}: {err}")
            raise ConnectionLostError(f"{type(err).__name__}: {err}") from err
        self._collect()
        if len(self.outgoing) > MAX_OUTGOING:
            self._lose("the peer does not read what it asks for")
            raise ConnectionLostError("the peer does not read what it asks for")

    def lost(self, why: str) -> None:
        """The peer is gone: every call ends."""
        self.going_away = True
        calls, self._calls = self.calls, {}
        for call in calls:
            self._ended(call, Status(UNAVAILABLE, why))

    def expire(self, now: float) -> None:
        """End the calls whose time is over; `now` in seconds of the monotonic clock."""
        for call in self.calls:
            if call.deadline is not None and call.deadline <= now:
                status = Status(DEADLINE_EXCEEDED, "the deadline is over")
                if not self._client:
                    self._end_at_once(call, status)
                else:
                    self._reset(call)
                self._close(call, status)
        self._collect()

    def _lose(self, why: str) -> None:
        self._collect()
        self.lost(why)

    def _request(self, event: Any) -> None:
        headers: Headers = _joined(event.headers)
        call = Call(self, event.stream_id, headers)
        self._calls[call.stream] = call
        method, kind = headers.get(":method"), headers.get("content-type", "")
        if method != "POST" or not kind.startswith(CONTENT_TYPE):
            status = "405" if method != "POST" else "415"
            self._h2.send_headers(call.stream, [(":status", status)], end_stream=True)
            self._reset(call)
            self._forget(call)
            return
        try:
            call.deframer = Deframer(check_encoding(headers.get("grpc-encoding")), call.most)
            if "grpc-timeout" in headers:
                call.deadline = time.monotonic() + parse_timeout(headers["grpc-timeout"])
        except RpcError as err:
            call.finish(err.status)
            return
        assert self._on_call is not None
        self._on_call(call)

    def _response(self, event: Any) -> None:
        call = self._calls.get(event.stream_id)
        if call is None:
            return
        headers = _joined(event.headers)
        call.answered = True
        if "grpc-status" in headers or headers.get(":status") != "200":
            self._close(call, Status.of(headers))
            return
        try:
            call.deframer = Deframer(check_encoding(headers.get("grpc-encoding")), call.most)
        except RpcError as err:
            self._refuse(call, err)

    def _trailers(self, event: Any) -> None:
        call = self._calls.get(event.stream_id)
        if call is not None and self._client:
            self._close(call, Status.of({":status": "200", **_joined(event.headers)}))

    def _data(self, event: Any) -> None:
        size = event.flow_controlled_length
        call = self._calls.get(event.stream_id)
        if size:
            self._h2.acknowledge_received_data(size, event.stream_id)
        if not event.data and not self._patience.spend(1):
            raise self._impatient("empty frames")
        if call is None or call.deframer is None or (call.ending and not self._client):
            return
        deframer, allowance = call.deframer, self._allowance
        before = len(deframer)
        try:
            allowance.left -= len(event.data)
            messages = deframer.add(self._allowed(event.data))
        except RpcError as err:
            allowance.left += len(event.data) + before
            call.deframer = None
            self._refuse(call, err)
            return
        allowance.left += len(event.data) + before - len(deframer)
        for message in messages:
            if not call.closed:
                call.on_message(message)

    def _allowed(self, data: bytes) -> bytes:
        if self._allowance.left < 0:
            raise RpcError(RESOURCE_EXHAUSTED, "too many requests are not whole yet")
        return data

    def _stream_ended(self, event: Any) -> None:
        call = self._calls.get(event.stream_id)
        if call is None or call.closed:
            return
        if self._client:
            self._close(call, Status(INTERNAL, "the server ended the call without a status"))
        elif call.deframer is not None and len(call.deframer):
            self._refuse(call, RpcError(INTERNAL, "the last message is cut short"))
        elif not call.ending:
            call.on_half_closed()

    def _stream_reset(self, event: Any) -> None:
        call = self._calls.get(event.stream_id)
        if not self._client and not self._patience.spend(5):
            raise self._impatient("calls that are cancelled at once")
        if call is not None:
            code = event.error_code
            name = getattr(code, "name", code)
            kind = CANCELLED if code == _CANCEL else UNAVAILABLE
            self._close(call, Status(kind, f"the peer ended the call: {name}"))

    def _window(self, event: Any) -> None:
        if not self._client and not self._patience.spend(0.1):
            raise self._impatient("window updates")
        if event.stream_id:
            call = self._calls.get(event.stream_id)
            if call is not None:
                self.pump(call)
        else:
            for call in self.calls:
                self.pump(call)

    def _control(self, event: Any) -> None:
        if not self._client and not self._patience.spend(1):
            raise self._impatient("control frames")
        if isinstance(event, h2.events.RemoteSettingsChanged):
            for call in self.calls:
                self.pump(call)

    def _goodbye(self, event: Any) -> None:
        self.going_away = True
        last = event.last_stream_id
        if not self._client or last is None:
            return
        for call in self.calls:
            if call.stream > last:
                self._close(call, Status(UNAVAILABLE, "the server goes away"))

    def _impatient(self, what: str) -> ConnectionLostError:
        self.close(calm=True)
        return ConnectionLostError(f"the peer sends too many {what}")

    # --- what goes --------------------------------------------------------------------------

    def call(self, path: str, metadata: Headers, timeout: Optional[float] = None) -> Call:
        """As a client: begin a call. Raises ConnectionLostError when the server takes none."""
        if self.going_away:
            raise ConnectionLostError("the server goes away")
        headers = {
            ":method": "POST",
            ":scheme": metadata.pop(":scheme", "http"),
            ":path": path,
            ":authority": metadata.pop(":authority", "localhost"),
            "te": "trailers",
            "content-type": CONTENT_TYPE,
            "user-agent": _USER_AGENT,
            "grpc-accept-encoding": "identity,deflate,gzip",
            **metadata,
        }
        stream = self._h2.get_next_available_stream_id()
        call = Call(self, stream, headers)
        if timeout is not None:
            call.deadline = time.monotonic() + timeout
            headers["grpc-timeout"] = timeout_text(timeout)
        try:
            self._h2.send_headers(stream, list(headers.items()))
        except h2.exceptions.H2Error as err:
            raise ConnectionLostError(f"no call can be made: {err}") from err
        self._calls[stream] = call
        self._collect()
        return call


def _joined(pairs: Any) -> Headers:
    """Headers by name; those that are there twice are joined by commas."""
    headers: Headers = {}
    for name, value in pairs:
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers
