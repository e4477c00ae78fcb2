# SPDX-License-Identifier: Apache-2.0
"""A call -> who answers it, with whole messages and errors turned into statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, List, Mapping, Union, cast

from tetrapy.api.call import Call
from tetrapy.api.codec import Message, decode, encode
from tetrapy.api.grpc import (
    INTERNAL,
    INVALID_ARGUMENT,
    OK,
    UNIMPLEMENTED,
    UNKNOWN,
    RpcError,
    Status,
    frame,
)
from tetrapy.api.services import BOTH, BY_PATH, UNARY, Method
from tetrapy.api.wire import WireError
from tetrapy.errors import TetrapyError
from tetrapy.named import NamedTuple
from tetrapy.uncaught import described

if TYPE_CHECKING:
    from tetrapy.api.peer import Peer
    from tetrapy.api.server import Server


class Context(NamedTuple):
    """Who calls."""

    call: Call
    peer: Peer
    server: Server

    @property
    def client(self) -> str:
        """As the log names it."""
        return self.peer.name

    def reply(self, message: bytes) -> None:
        """Answer a call that has one reply, and end it."""
        self.call.send(frame(message))
        self.call.finish(Status(OK))

    def flush(self) -> None:
        """Send what was given to the call outside of the client's own turn."""
        self.server.flushed(self.peer)


Unary = Callable[[Message, Context], Union[Message, bytes, None]]
"""The reply, or its bytes; None where the call is answered by `Context.reply` later."""
Stream = Callable[[Message, Context], None]
"""Sends to the call, and ends it, when there is something."""
Both = Callable[[Context], Callable[[Message], Message]]
"""What answers each message."""
Handler = Union[Unary, Stream, Both]


class Router:
    """The calls of one address."""

    def __init__(self, handlers: Mapping[str, Handler], log: Callable[..., None]) -> None:
        """`handlers` by path."""
        self._handlers = handlers
        self._log = log

    def answer(self, call: Call, peer: Peer, server: Server) -> None:
        """Take a new call."""
        handler, method = self._handlers.get(call.path), BY_PATH.get(call.path)
        if handler is None or method is None:
            call.finish(Status(UNIMPLEMENTED, f"there is no call {call.path}"))
            return
        context = Context(call, peer, server)
        if method.kind == BOTH:
            self._converse(method, handler, context)
            return
        messages: List[bytes] = []

        def take(message: bytes) -> None:
            if messages:
                call.finish(Status(INTERNAL, "a call has one request"))
            messages.append(message)

        def begin() -> None:
            if not messages:
                call.finish(Status(INTERNAL, "a call without a request"))
                return
            self._guarded(call, lambda: self._one(method, handler, messages[0], context))

        call.on_message = take
        call.on_half_closed = begin

    def _one(self, method: Method, handler: Handler, data: bytes, context: Context) -> None:
        request = decode(method.request, data)
        # The kind of a method says which of the three its handler is.
        if method.kind != UNARY:
            cast(Stream, handler)(request, context)
            return
        reply = cast(Unary, handler)(request, context)
        if reply is not None:
            context.reply(reply if isinstance(reply, bytes) else encode(method.response, reply))

    def _converse(self, method: Method, handler: Handler, context: Context) -> None:
        call = context.call
        reply = cast(Both, handler)(context)

        def take(data: bytes) -> None:
            message = encode(method.response, reply(decode(method.request, data)))
            call.send(frame(message))

        call.on_message = lambda data: self._guarded(call, lambda: take(data))
        call.on_half_closed = lambda: call.finish(Status(OK))

    def _guarded(self, call: Call, act: Callable[[], None]) -> None:
        """Errors end the call, not the agent."""
        try:
            act()
        except RpcError as err:
            call.finish(err.status)
        except WireError as err:
            call.finish(Status(INVALID_ARGUMENT, f"the request cannot be read: {err}"))
        except TetrapyError as err:
            call.finish(Status(UNKNOWN, str(err)))
        except Exception as err:  # noqa: BLE001 - a call that nobody expected ends no agent
            self._log("error", "A call of the API failed", call=call.path, **described(err))
            call.finish(Status(INTERNAL, "a defect of tetrapy; its log says where"))
