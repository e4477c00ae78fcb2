# SPDX-License-Identifier: Apache-2.0
"""GetEvents: clients that are told events as they happen.

Clients that ask for the same share one subscription, and its bytes. Each has a queue of its own, of
so many events and bytes; what it is too slow for is lost to it alone, counted, and reported by a
`rate_limit_info` once it goes on.
"""

from __future__ import annotations

from collections import deque
from typing import Callable, Deque, Dict, List, Optional, Tuple

from tetrapy.api.codec import Message, encode
from tetrapy.api.event_encoder import EventEncoder
from tetrapy.api.grpc import (
    INVALID_ARGUMENT,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    RpcError,
    Status,
    frame,
    frames,
)
from tetrapy.api.router import Context
from tetrapy.errors import SettingsError
from tetrapy.events.event import Event
from tetrapy.events.rate_limit import RateLimitInfo
from tetrapy.export.aggregation import Aggregator
from tetrapy.export.fanout import Fanout
from tetrapy.export.stages import Stages
from tetrapy.export.subscription import Subscription
from tetrapy.filters.field_filters import field_filters_of
from tetrapy.filters.lists import Abilities, list_of, predicate

MAX_STREAMS = 64
MAX_BYTES = 8 << 20  # that wait for one client
MAX_ALL_BYTES = 48 << 20  # ... and for all
_REPORT = 10.0  # seconds between two lines of the log about losses
_LOST = "RATE_LIMIT_INFO"
_WINDOW = 15_000_000_000  # ns, of an aggregation without one


class Queued:
    """Bytes that wait, of all streams."""

    def __init__(self) -> None:
        self.bytes = 0


class EventStream:
    """One call of GetEvents."""

    def __init__(
        self,
        context: Context,
        most: int,
        queued: Queued,
        loss_message: Callable[[int], bytes],
    ) -> None:
        """`most` events may wait; `loss_message` makes what reports so many lost ones."""
        self.context = context
        self.lost = 0  # in all
        self.reported = 0  # ... to the log
        self._unreported = 0
        self._most = most
        self._all = queued
        self._loss_message = loss_message
        self._queue: Deque[Tuple[bytes, int]] = deque()
        self._events = self._bytes = 0
        self._flowing = False
        context.call.on_room = self._go_on

    def offer(self, data: bytes, count: int) -> None:
        """Take the messages of so many events, framed."""
        call = self.context.call
        if not self._queue and not call.waiting_bytes and not self._unreported:
            call.send(data)
        else:
            size = len(data)
            full = self._bytes + size > MAX_BYTES or self._all.bytes + size > MAX_ALL_BYTES
            if full or self._events + count > self._most:
                self.lost += count
                self._unreported += count
                return
            self._queue.append((data, count))
            self._events += count
            self._bytes += size
            self._all.bytes += size
            self._go_on()
        self.context.flush()

    def _go_on(self) -> None:
        """Send what waits, as far as there is room."""
        if self._flowing:  # sending finds room again
            return
        self._flowing = True
        call = self.context.call
        try:
            while self._queue and not call.waiting_bytes and not call.closed:
                data, count = self._queue.popleft()
                self._events -= count
                self._bytes -= len(data)
                self._all.bytes -= len(data)
                call.send(data)
            if self._unreported and not self._queue and not call.waiting_bytes:
                lost, self._unreported = self._unreported, 0
                message = self._loss_message(lost)
                if message:
                    call.send(message)
        finally:
            self._flowing = False

    def forget(self) -> None:
        """Let go of what waits."""
        self._queue.clear()
        self._all.bytes -= self._bytes
        self._events = self._bytes = 0


class StreamTarget:
    """Where a subscription's messages go: to each of its streams (export.subscription.Target)."""

    def __init__(self) -> None:
        self.streams: List[EventStream] = []

    def write(self, lines: List[bytes], events: List[Event]) -> None:
        """Hand the messages to every stream."""
        data = frames(lines)
        for stream in list(self.streams):
            stream.offer(data, len(lines))

    def tick(self, now: float) -> None:
        """Nothing: the server has a tick of its own."""

    wants_push = False
    reader_is_gone = False

    def push(self) -> None:
        """Nothing: the server sends when its sockets can."""

    def close(self) -> None:
        """End the streams."""
        for stream in list(self.streams):
            stream.context.call.finish(Status(UNAVAILABLE, "the agent stops"))


class Streams:
    """All calls of GetEvents."""

    def __init__(
        self,
        fanout: Fanout,
        make_encoder: Callable[[], EventEncoder],
        abilities: Abilities,
        most: int,
        wall_now: Callable[[], int],
        forget_filters: Callable[[], None],
        log: Callable[..., None],
    ) -> None:
        """`most` events may wait for a client; `forget_filters` has the kernel hold nothing back
        that a client may ask for.
        """
        self._fanout = fanout
        self._make_encoder = make_encoder
        self._abilities = abilities
        self._most = most
        self._wall_now = wall_now
        self._forget_filters = forget_filters
        self._log = log
        self._subscriptions: Dict[bytes, Subscription] = {}
        self._targets: Dict[bytes, StreamTarget] = {}
        self._queued = Queued()
        self._reported = 0.0
        self._gone_lost = 0  # of streams that have ended

    @property
    def lost(self) -> int:
        """Events that clients were too slow for."""
        return self._gone_lost + sum(stream.lost for stream in self._streams())

    def _streams(self) -> List[EventStream]:
        # Copies: a scrape of metrics asks from another thread.
        return [one for target in list(self._targets.values()) for one in list(target.streams)]

    def get_events(self, request: Message, context: Context) -> None:
        """The call. Raises RpcError."""
        if len(self._streams()) >= MAX_STREAMS:
            raise RpcError(RESOURCE_EXHAUSTED, f"{MAX_STREAMS} clients are told events already")
        key = encode("GetEventsRequest", request)
        if "aggregation_options" in request:  # what waits in a window is for who was there
            key += id(context.call).to_bytes(8, "big")
        if key not in self._subscriptions:
            self._subscribe(key, request)
        target, encoder = self._targets[key], self._subscriptions[key].encoder
        tells = _takes_loss(request, context)

        def loss_message(lost: int) -> bytes:
            if not tells:
                return b""
            return frame(encoder.encode(RateLimitInfo(lost, self._wall_now())))

        stream = EventStream(context, self._most, self._queued, loss_message)
        target.streams.append(stream)
        context.call.on_closed = lambda status: self._end(key, stream)
        context.call.answer()
        self._log("debug", "A client is told events", client=context.client)

    def _subscribe(self, key: bytes, request: Message) -> None:
        try:
            allow = list_of(request.get("allow_list", []), "allow_list", self._abilities, True)
            deny = list_of(request.get("deny_list", []), "deny_list", self._abilities)
            filters = field_filters_of(request.get("field_filters", []), "field_filters")
        except SettingsError as err:
            raise RpcError(INVALID_ARGUMENT, str(err)) from err
        stages = Stages(
            wanted=predicate(allow, deny),
            aggregator=_aggregator(request.get("aggregation_options")),
            change=None if filters is None else filters.of_type,
        )
        self._forget_filters()
        target = self._targets[key] = StreamTarget()
        subscription = Subscription(stages, self._make_encoder(), target, self._wall_now)
        self._subscriptions[key] = subscription
        self._fanout.add(subscription)

    def _end(self, key: bytes, stream: EventStream) -> None:
        stream.forget()
        self._gone_lost += stream.lost
        target = self._targets[key]
        target.streams.remove(stream)
        if not target.streams:
            del self._targets[key]
            self._fanout.remove(self._subscriptions.pop(key))

    def tick(self, now: float) -> None:
        """Tell the log of losses; `now` in seconds of the monotonic clock."""
        if now - self._reported < _REPORT:
            return
        self._reported = now
        for stream in self._streams():
            lost = stream.lost - stream.reported
            if lost:
                stream.reported = stream.lost
                self._log(
                    "warn",
                    "A client reads too slowly, events are lost to it",
                    client=stream.context.client,
                    lost=lost,
                    hint="raise --event-queue-size, or have it ask for fewer events",
                )


def _aggregator(options: Optional[Message]) -> Optional[Aggregator]:
    if options is None:
        return None
    text = options.get("window_size", "")
    seconds = float(text.rstrip("s")) if text else 0.0
    window = int(seconds * 1e9) or _WINDOW
    return Aggregator(window, min(int(options.get("channel_buffer_size", 0)) or 10_000, 100_000))


def _takes_loss(request: Message, context: Context) -> bool:
    """Whether the client can be sent what it lost.

    Tetragon's own client stops at an event that its compact output has no form for, and the
    library that it is written with does not say which program it is. It learns of it when it asks.
    """
    asked = any(_LOST in one.get("event_set", ()) for one in request.get("allow_list", ()))
    return asked or not context.call.headers.get("user-agent", "").startswith("grpc-go")
