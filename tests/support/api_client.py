# SPDX-License-Identifier: Apache-2.0
"""A client that nobody here wrote: grpcio, with protobuf's classes of our .proto files."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, Self

import grpc

from tests.support import proto

if TYPE_CHECKING:
    from collections.abc import Iterator

SENSORS = "/tetragon.FineGuidanceSensors/"
TIMEOUT = 30.0


class Client:
    """Calls by name, JSON-shaped."""

    def __init__(self, target: str, credentials: Any = None, **options: Any) -> None:
        pairs = list(options.items())
        if credentials is None:
            self.channel = grpc.insecure_channel(target, options=pairs)
        else:
            self.channel = grpc.secure_channel(target, credentials, options=pairs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def call(self, name: str, request: Any = None, **options: Any) -> Any:
        """The reply of `Name` or `/package.Service/Name`."""
        path = name if name.startswith("/") else SENSORS + name
        method = proto_method(path)
        multi = self.channel.unary_unary(
            path, lambda one: one.SerializeToString(), method[1].FromString
        )
        options.setdefault("timeout", TIMEOUT)
        return proto.to_json(multi(proto.from_class(method[0], request or {}), **options))

    def events(self, request: Any = None, **options: Any) -> Stream:
        return Stream(self, request or {}, options)


class Stream:
    """GetEvents, read by a thread as grpcio wants it."""

    def __init__(self, client: Client, request: Any, options: Any) -> None:
        path = f"{SENSORS}GetEvents"
        request_class, reply_class = proto_method(path)
        make = client.channel.unary_stream(
            path, lambda one: one.SerializeToString(), reply_class.FromString
        )
        self.calling = make(proto.from_class(request_class, request), **options)
        self.calling.initial_metadata()  # the server has heard
        self.got: queue.Queue[Any] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for one in self.calling:
                self.got.put(one)
        except grpc.RpcError as err:
            self.got.put(err)

    def __iter__(self) -> Iterator[Any]:
        while True:
            one = self.got.get(timeout=TIMEOUT)
            if isinstance(one, Exception):
                raise one
            yield proto.to_json(one)

    def until(self, what: Any) -> list[Any]:
        """The events up to the first for which `what` holds."""
        found = []
        for event in self:
            found.append(event)
            if what(event):
                return found
        raise AssertionError

    def cancel(self) -> None:
        self.calling.cancel()
        self._thread.join(TIMEOUT)


def proto_method(path: str) -> tuple[Any, Any]:
    """The classes of a call's messages."""
    _, service, name = path.split("/")
    method = proto.pool().FindServiceByName(service).FindMethodByName(name)
    return proto.class_of(method.input_type), proto.class_of(method.output_type)
