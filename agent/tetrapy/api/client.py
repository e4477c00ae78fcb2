# SPDX-License-Identifier: Apache-2.0
"""A client of the API that waits: one connection, one call at a time."""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING, Any, Dict, Generator, Iterator, List, Optional, Tuple, Type

from tetrapy.api.address import ApiAddress
from tetrapy.api.call import Call
from tetrapy.api.codec import Message, decode, encode
from tetrapy.api.connection import Connection, ConnectionLostError
from tetrapy.api.grpc import DEADLINE_EXCEEDED, OK, UNAVAILABLE, RpcError, Status, frame
from tetrapy.api.services import METHODS
from tetrapy.api.sockets import NOT_NOW
from tetrapy.named import NamedTuple

if TYPE_CHECKING:
    import ssl

MAX_RECEIVED = 10 << 20  # bytes of a message, as Tetragon's client has it
_BLOCK = 64 << 10


class ClientTls(NamedTuple):
    """How a client speaks TLS."""

    ca_files: Tuple[str, ...] = ()  # who signs servers' certificates; none: those of the system
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""  # empty: the host of the address
    skip_verify: bool = False

    def context(self) -> ssl.SSLContext:
        """Raises OSError for files that cannot be read or are none of PEM, and without OpenSSL."""
        # Imported late: some Pythons have no OpenSSL, and the unix socket needs none.
        try:
            import ssl
        except ImportError as err:
            raise OSError(f"TLS cannot be spoken: {err}; take a Python that has it") from err
        context = ssl.create_default_context()
        if self.ca_files:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            for name in self.ca_files:
                context.load_verify_locations(name)
        if self.skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["h2"])
        return context


class Channel:
    """A connection to a server; to be closed.

    Errors of calls are RpcError, with a status; UNAVAILABLE says that the server cannot be reached.
    """

    def __init__(
        self,
        address: str,
        tls: Optional[ClientTls] = None,
        timeout: float = 30.0,
        max_received: int = MAX_RECEIVED,
    ) -> None:
        """Connect; `timeout` in seconds. Raises RpcError and AddressError."""
        self._address = ApiAddress.parse(address)
        self._most = max_received
        self._scheme = "https" if tls is not None else "http"
        try:
            family, where = _resolved(self._address)
            self._socket = socket.socket(family, socket.SOCK_STREAM)
            try:
                self._socket.settimeout(timeout)
                self._socket.connect(where)
                if tls is not None:
                    name = tls.server_name or self._address.host or "localhost"
                    self._socket = tls.context().wrap_socket(self._socket, server_hostname=name)
            except BaseException:
                self._socket.close()
                raise
        except OSError as err:
            raise RpcError(UNAVAILABLE, f"cannot connect to {self._address}: {err}") from err
        self._socket.setblocking(False)
        self._connection = Connection(client=True)

    def __enter__(self) -> Channel:  # noqa: PYI034 - Python 3.8 has no Self
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], *_: object) -> None:
        self.close()

    def unary(
        self, method: str, request: Optional[Message] = None, timeout: float = 30.0
    ) -> Message:
        """Call `Service/Method` (services.METHODS) and wait for its reply.

        Raises RpcError for any status but OK.
        """
        reply: Optional[Message] = None
        for one in self.stream(method, request, timeout):
            if reply is not None:
                raise RpcError(UNAVAILABLE, f"{method}: more than one reply")
            reply = one
        if reply is None:
            raise RpcError(UNAVAILABLE, f"{method}: no reply")
        return reply

    def stream(
        self, method: str, request: Optional[Message] = None, timeout: Optional[float] = None
    ) -> Iterator[Message]:
        """The replies as they come, JSON-shaped; ends with the call. Raises RpcError."""
        found = METHODS[method]
        message = encode(found.request, request or {})
        for data in self.stream_bytes(found.path, message, timeout):
            yield decode(found.response, data)

    def stream_bytes(
        self, path: str, request: bytes, timeout: Optional[float] = None
    ) -> Generator[bytes, None, None]:
        """The replies as they come, in protobuf; ends with the call. Raises RpcError."""
        messages: List[bytes] = []
        ended: List[Status] = []
        metadata: Dict[str, str] = {
            ":authority": self._address.authority,
            ":scheme": self._scheme,
        }
        try:
            call = self._connection.call(path, metadata, timeout)
        except ConnectionLostError as err:
            raise RpcError(UNAVAILABLE, str(err)) from err
        call.most = self._most
        call.on_message = messages.append
        call.on_closed = ended.append
        call.send(frame(request))
        call.half_close()
        try:
            while True:
                yield from messages
                messages.clear()
                if ended:
                    break
                self._turn(call.deadline)
        finally:
            if not ended:
                self._cancel(call)
        if ended[0].code != OK:
            raise RpcError(*ended[0])

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._socket.fileno()

    def close(self) -> None:
        """Say goodbye and close."""
        self._connection.close()
        try:
            self._socket.setblocking(True)
            self._socket.settimeout(0.2)
            self._socket.sendall(self._connection.outgoing)
        except OSError:
            pass
        self._socket.close()

    def _cancel(self, call: Call) -> None:
        call.cancel()
        try:
            self._send()
        except OSError:
            pass

    def _turn(self, deadline: Optional[float]) -> None:
        """Send and receive what can be, waiting until there is something."""
        connection = self._connection
        # However much there is to be received.
        if deadline is not None and time.monotonic() >= deadline:
            connection.expire(time.monotonic())
            return
        try:
            self._send()
            data = self._received()
            if data is None:
                self._wait(deadline)
                return
            if not data:
                connection.lost("the server closed the connection")
                return
            connection.receive(data)
            self._send()
        except ConnectionLostError:
            pass  # every call has ended
        except OSError as err:
            connection.lost(f"the connection broke: {err.strerror or err}")

    def _wait(self, deadline: Optional[float]) -> None:
        poll = select.poll()
        wanted = select.POLLIN | (select.POLLOUT if self._connection.outgoing else 0)
        poll.register(self._socket, wanted)
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000 + 1
        poll.poll(left)

    def _received(self) -> Optional[bytes]:
        """Bytes; none at the end, None when there are none yet."""
        try:
            return self._socket.recv(_BLOCK)
        except NOT_NOW:
            return None

    def _send(self) -> None:
        out = self._connection.outgoing
        while out:
            try:
                count = self._socket.send(out[:_BLOCK])
            except NOT_NOW:
                return
            self._connection.sent(count)


def _resolved(address: ApiAddress) -> Tuple[int, Any]:
    """Family and socket address. Raises OSError for a name that nobody knows."""
    if address.path:
        return socket.AF_UNIX, address.path
    found = socket.getaddrinfo(address.host or None, address.port, 0, socket.SOCK_STREAM)
    # `localhost` and every address of the machine are first of all those of IPv4.
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    return found[0][0], found[0][4]


__all__ = ["DEADLINE_EXCEEDED", "Channel", "ClientTls"]
