# SPDX-License-Identifier: Apache-2.0
"""The server: sockets that listen, clients that are connected, and who answers their calls.

It has no thread: the agent's loop calls `turn` when there is something to do, so what answers a
call sees the agent between two batches of events and needs no locks. No turn waits for anybody.
"""

from __future__ import annotations

import select
import socket
from typing import Any, Callable, Dict, Mapping, Tuple

from tetrapy.api.call import Call
from tetrapy.api.connection import Allowance
from tetrapy.api.grpc import UNAVAILABLE, Status
from tetrapy.api.peer import Peer
from tetrapy.api.router import Router

MAX_CLIENTS = 64
_STOP = "the agent stops"
MAX_UNFINISHED = 16 << 20  # bytes of requests that are not whole yet, of all clients
_TURNS = 16  # clients that are heard before events have their turn

Log = Callable[..., None]


class Server:
    """Serves at `listeners`, descriptors which become its own."""

    def __init__(
        self,
        listeners: Mapping[int, Tuple[Router, Any]],
        epoll: select.epoll,
        log: Log,
    ) -> None:
        """`epoll` has the listeners in it already."""
        self._listeners = {
            fd: (socket.socket(fileno=fd), router, tls) for fd, (router, tls) in listeners.items()
        }
        self._epoll = epoll
        self._log = log
        self._peers: Dict[int, Peer] = {}
        self._polled: Dict[int, int] = {}
        self._allowance = Allowance(MAX_UNFINISHED)
        self.refused = 0  # clients beyond the most

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._peers)

    def turn(self) -> None:
        """Do what there is to do now."""
        for fd, _ in self._epoll.poll(0, _TURNS):
            if fd in self._listeners:
                self._accept(fd)
            elif fd in self._peers:
                self._peers[fd].turn()
                self._settle(self._peers[fd])

    def flushed(self, peer: Peer) -> None:
        """Something was sent to a client outside of its turn."""
        peer.flush()
        if peer.fd in self._peers:
            self._settle(peer)

    def tick(self, now: float) -> None:
        """What time brings; `now` in seconds of the monotonic clock."""
        for peer in list(self._peers.values()):
            peer.tick(now)
            self._settle(peer)

    def close(self) -> None:
        """Say goodbye to all, and stop."""
        for peer in list(self._peers.values()):
            for call in peer.connection.calls:
                call.finish(Status(UNAVAILABLE, _STOP))
            peer.give_up(_STOP)
            self._drop(peer)
        for listener, _, _ in self._listeners.values():
            listener.close()
        self._epoll.close()

    def _accept(self, fd: int) -> None:
        listener, router, tls = self._listeners[fd]
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        if len(self._peers) >= MAX_CLIENTS and not self._make_room():
            self.refused += 1
            accepted.close()
            return
        try:
            peer = Peer(accepted, tls, self._answering(router), self._allowance)
            self._epoll.register(peer.fd, select.EPOLLIN)
        except OSError:
            accepted.close()
            return
        self._peers[peer.fd] = peer
        self._polled[peer.fd] = select.EPOLLIN
        peer.flush()
        self._settle(peer)

    def _make_room(self) -> bool:
        """Give up the client that has been without a call for longest; False if there is none."""
        for peer in self._peers.values():  # in the order of their coming
            if peer.is_idle:
                peer.give_up("other clients wait", calm=True)
                self._drop(peer)
                return True
        return False

    def _answering(self, router: Router) -> Callable[[Call, Peer], None]:
        return lambda call, peer: router.answer(call, peer, self)

    def _settle(self, peer: Peer) -> None:
        if peer.done:
            self._drop(peer)
            return
        wanted = peer.wanted
        if self._polled[peer.fd] != wanted:
            self._polled[peer.fd] = wanted
            self._epoll.modify(peer.fd, wanted)

    def _drop(self, peer: Peer) -> None:
        if self._peers.pop(peer.fd, None) is None:
            return
        del self._polled[peer.fd]
        self._epoll.unregister(peer.fd)
        peer.close()
        level = "warn" if peer.why and peer.why != _STOP else "debug"
        self._log(level, "A client of the API is gone", client=peer.name, because=peer.why or "-")
