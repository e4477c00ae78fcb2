# SPDX-License-Identifier: Apache-2.0
"""gRPC's health service: Tetragon calls the agent as a whole `liveness`; the empty name is it too.

The answer comes from the loop that moves events, so one that hangs does not answer.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from tetrapy.api.codec import Message, encode
from tetrapy.api.grpc import NOT_FOUND, RpcError, frame
from tetrapy.api.router import Context, Handler
from tetrapy.api.services import HEALTH

_NAMES = frozenset({"", "liveness"})
_PREFIX = f"/{HEALTH}.Health/"


class HealthService:
    """Health of the agent, and of each service that it is asked for by name."""

    def __init__(self, services: Tuple[str, ...] = ()) -> None:
        """`services` are names of others that are as healthy as the agent."""
        self._names = _NAMES | frozenset(services)
        self._watched: List[Context] = []
        self._serving = True

    def handlers(self) -> Dict[str, Handler]:
        """The calls, by path."""
        return {f"{_PREFIX}Check": self.check, f"{_PREFIX}Watch": self.watch}

    def check(self, request: Message, context: Context) -> Message:
        """Raises RpcError for a service that is not known."""
        name = request.get("service", "")
        if name not in self._names:
            raise RpcError(NOT_FOUND, f"unknown service {name!r}")
        return self._status()

    def watch(self, request: Message, context: Context) -> None:
        """Tell what is now, and when it changes."""
        known = request.get("service", "") in self._names
        reported: Any = self._status() if known else {"status": "SERVICE_UNKNOWN"}
        context.call.send(frame(encode("HealthCheckResponse", reported)))
        if known:
            self._watched.append(context)
            context.call.on_closed = lambda status: self._watched.remove(context)

    def stopping(self) -> None:
        """Tell who watches that the agent stops."""
        self._serving = False
        for context in list(self._watched):
            context.call.send(frame(encode("HealthCheckResponse", self._status())))
            context.flush()

    def _status(self) -> Dict[str, str]:
        return {"status": "SERVING" if self._serving else "NOT_SERVING"}
