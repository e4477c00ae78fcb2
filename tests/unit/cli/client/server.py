# SPDX-License-Identifier: Apache-2.0
"""A server of Tetragon's API by gRPC's own library, whose answers a test chooses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import grpc

from tetrapy.api.codec import decode, encode
from tetrapy.api.services import METHODS, STREAM, Method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Message = dict[str, Any]


class Server:
    """Answers with what `answers` has for a method, `Service/Method`; `asked` has what was asked.

    An answer is a message, or of a stream a list of them; or an exception, which ends the call with
    its text, or with its code if it is `(code, text)`.
    """

    def __init__(self, address: str, credentials: Any = None) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Message]] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        services: dict[str, dict[str, Any]] = {}
        for name, method in METHODS.items():
            service = f"{method.package}.{method.service}"
            services.setdefault(service, {})[method.name] = self._handler(name, method)
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(name, of) for name, of in services.items()]
        )
        if credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, credentials)
        self.address = address if address.startswith("unix:") else f"localhost:{port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()

    def _handler(self, name: str, method: Method) -> Any:
        how: Callable[..., Any] = grpc.unary_unary_rpc_method_handler
        act: Callable[..., Any] = self._one
        if method.kind == STREAM:
            how, act = grpc.unary_stream_rpc_method_handler, self._many
        return how(
            lambda request, context: act(name, request, context),
            lambda data: decode(method.request, data),
            lambda message: encode(method.response, message),
        )

    def _one(self, name: str, request: Message, context: Any) -> Message:
        self.asked.append((name, request))
        answer = self.answers.get(name, {})
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, tuple):
            context.abort(*answer)
        found: Message = answer
        return found

    def _many(self, name: str, request: Message, context: Any) -> Iterator[Message]:
        self.asked.append((name, request))
        for answer in self.answers.get(name, []):
            if isinstance(answer, tuple):
                context.abort(*answer)
            yield answer
