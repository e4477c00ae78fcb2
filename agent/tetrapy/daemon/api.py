# SPDX-License-Identifier: Apache-2.0
"""The gRPC API of a running agent: addresses from the start on, everything else once a client came.

A host without clients pays for the sockets and a comparison a round. Where runtimes have a hook
that asks the agent, it is ready before the first container waits for it.
"""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from tetrapy.api import listening
from tetrapy.api.address import SOCKET, ApiAddress
from tetrapy.config.settings import Settings
from tetrapy.host_files import host_path, host_root
from tetrapy.uncaught import described

if TYPE_CHECKING:
    from tetrapy.api.server import Server
    from tetrapy.daemon.api_services import Parts

# Where Podman and CRI-O find the hook (oci-hooks(5)).
_HOOKS = tuple(
    f"{directory}/containers/oci/hooks.d/tetrapy.json" for directory in ("/etc", "/usr/share")
)

Log = Callable[..., None]
Ready = List[Tuple[int, int]]


def _has_hook(procfs: str) -> bool:
    root = host_root(procfs)
    try:
        return any(os.path.exists(host_path(root, path)) for path in _HOOKS)
    except OSError:  # links in a circle
        return False


class Api:
    """Listens from the start on; `watch` names what it tells of, `turn` serves."""

    def __init__(self, settings: Settings, log: Log) -> None:
        """Raises TetrapyError for an address that cannot be listened at, and for TLS files that
        cannot be used: who asks for a server is not left without one unawares.
        """
        self._settings = settings
        self._log = log
        self._listeners: Dict[int, bool] = {}  # descriptor -> whether it is TCP with TLS
        self._health: List[int] = []
        self._paths: List[str] = []
        self._server: Optional[Server] = None
        self._parts: Optional[Parts] = None
        self._make_parts: Optional[Callable[[], Parts]] = None
        self._tls: Any = None
        self._is_awaited = False  # by runtimes: everything is made without a client
        self.address = ""  # of the unix socket, for the info file
        try:
            self._open(settings)
        except BaseException:
            self._release()
            raise
        self._epoll = select.epoll()
        for fd in (*self._listeners, *self._health):
            self._epoll.register(fd, select.EPOLLIN)
        self.fd = self._epoll.fileno()
        """The descriptor to poll."""

    def _open(self, settings: Settings) -> None:
        if settings.server_address:
            address = ApiAddress.parse(settings.server_address)
            self._open_unix(address if address.path else ApiAddress.parse(SOCKET), address)
            if not address.path:
                self._open_tcp(address)
        if settings.health_server_address:
            address = ApiAddress.parse(settings.health_server_address)
            self._health = listening.listen(address)
            self._log("info", "Starting gRPC health server", address=str(address))

    def _open_unix(self, address: ApiAddress, asked: ApiAddress) -> None:
        try:
            fds = listening.listen(address, self._settings.server_socket_group)
        except listening.ListenError as err:
            if asked.path and str(asked) != SOCKET:
                raise
            # The usual place may be on a read-only file system.
            self._log("warn", "The gRPC API has no unix socket", error=str(err))
            return
        self._listeners.update(dict.fromkeys(fds, False))
        self._paths.append(address.path)
        self.address = str(address)
        self._log("info", "Starting gRPC server", protocol="unix", address=address.path)

    def _open_tcp(self, address: ApiAddress) -> None:
        settings = self._settings
        if settings.server_tls_cert_file:
            from tetrapy.api.tls import server_context  # most agents have none

            self._tls = server_context(
                settings.server_tls_cert_file,
                settings.server_tls_key_file,
                settings.server_tls_client_ca_files,
                demand=settings.server_tls_require_client_cert,
            )
        self._listeners.update(dict.fromkeys(listening.listen(address), self._tls is not None))
        self._log("info", "Starting gRPC server", protocol="tcp", address=str(address))
        if self._tls is None and not listening.is_loopback(address):
            self._log(
                "warn",
                "Tetragon gRPC TCP listener is exposing the API without TLS: whoever reaches the"
                " address reads all events and changes policies",
                address=str(address),
                hint="give --server-tls-cert-file and --server-tls-key-file, and demand"
                " certificates of clients, or name a unix socket",
            )

    def watch(self, make_parts: Callable[[], Parts]) -> None:
        """What clients can receive is made when the first one is here."""
        self._make_parts = make_parts
        self._is_awaited = _has_hook(self._settings.procfs or "/proc")

    def turn(self, ready: Ready) -> None:
        """Serve, when `ready`, what the loop's poll said, has something of the API."""
        for fd, _ in ready:
            if fd == self.fd:
                self._guarded(self._serve)
                return

    def _serve(self) -> None:
        (self._server or self._begin()).turn()

    def _guarded(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as err:  # noqa: BLE001 - events matter more than clients
            self._give_up(err)

    def tick(self, now: float) -> None:
        """What time brings; `now` in seconds of the monotonic clock."""
        if self._is_awaited:
            self._is_awaited = False
            if self._server is None:
                self._guarded(self._begin)
        if self._server is not None and self._parts is not None:
            self._server.tick(now)
            self._parts.streams.tick(now)

    @property
    def lost(self) -> int:
        """Events that clients were too slow for."""
        return self._parts.streams.lost if self._server and self._parts else 0

    def _begin(self) -> Server:
        """The first client is here."""
        from tetrapy.api.server import Server
        from tetrapy.daemon.api_services import health_router, router

        assert self._make_parts is not None
        self._parts = self._make_parts()
        main = router(self._parts)
        routes = {
            fd: (main, self._tls if encrypted else None)
            for fd, encrypted in self._listeners.items()
        }
        health = health_router(self._parts)
        routes.update(dict.fromkeys(self._health, (health, None)))
        self._server = Server(routes, self._epoll, self._log)
        return self._server

    def _give_up(self, err: Exception) -> None:
        """Serve nobody from now on: a Python that lacks a part of its library, or a defect."""
        what = described(err)
        self._log(
            "error",
            "The gRPC API ends, the agent goes on",
            **what,
            hint="take a Python with its whole standard library"
            if isinstance(err, ImportError)
            else "report it",
        )
        self.close()
        self._paths, self.fd = [], -1

    def close(self) -> None:
        """Tell the clients, and stop."""
        if self._server is not None:
            if self._parts is not None:
                self._parts.health.stopping()
            self._server.close()
            self._server = None
            self._listeners, self._health = {}, []
        self._epoll.close()
        self._release()

    def _release(self) -> None:
        for fd in (*self._listeners, *self._health):
            os.close(fd)
        for path in self._paths:
            try:
                os.unlink(path)
            except OSError:
                pass
        self._listeners, self._health = {}, []
