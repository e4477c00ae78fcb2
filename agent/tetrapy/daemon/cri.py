# SPDX-License-Identifier: Apache-2.0
"""Containers out of the Container Runtime Interface of Kubernetes: containerd, CRI-O, cri-dockerd.

Here and not beside the other sources, as it takes the client of the gRPC API. Of its messages
(runtime.v1) only the few fields that events show are known.
"""

from __future__ import annotations

from contextlib import closing
from typing import Dict, Optional

from tetrapy.api.client import Channel
from tetrapy.api.grpc import RpcError
from tetrapy.api.scalars import as_bytes
from tetrapy.api.wire import BYTES, Value, fields, sized, tag
from tetrapy.containers.cgroup import ContainerRef
from tetrapy.containers.known import Facts, time_of
from tetrapy.events.container import Pod

TIMEOUT = 2.0  # seconds for one answer
_MOST = 4 << 20  # bytes of an answer
_METHOD = "/runtime.v1.RuntimeService/ContainerStatus"

# Numbers of ContainerStatusResponse and ContainerStatus.
_STATUS, _METADATA, _STARTED, _IMAGE, _IMAGE_REF, _LABELS = 1, 2, 5, 8, 9, 12


class CriSocket:
    """A socket that is asked; a connection for each container."""

    def __init__(self, path: str, runtime: str) -> None:
        """`runtime`: what stands before ids."""
        self._address = f"unix://{path}"
        self._runtime = runtime

    def find(self, ref: ContainerRef) -> Optional[Pod]:
        """The container, None where it is not known. Raises RpcError, WireError, ValueError."""
        request = tag(1, BYTES) + sized(ref.id.encode())
        try:
            # What else comes is not waited for: it would have no end.
            with Channel(self._address, None, TIMEOUT, _MOST) as channel, closing(
                channel.stream_bytes(_METHOD, request, TIMEOUT)
            ) as replies:
                reply = next(replies, b"")
        except RpcError:
            return None
        status = b""
        for number, _, value in fields(reply):
            if number == _STATUS:
                status = as_bytes(value)
        found: Dict[int, Value] = {}
        labels: Dict[str, str] = {}
        for number, _, value in fields(status):
            if number == _LABELS:
                entry = _message(value)
                labels[_text(entry.get(1))] = _text(entry.get(2))
            else:
                found[number] = value
        started = found.get(_STARTED)
        return Facts(
            self._runtime,
            _text(_message(found.get(_METADATA)).get(1)),
            _text(_message(found.get(_IMAGE)).get(1)),
            _text(found.get(_IMAGE_REF)),
            time_of(started) if isinstance(started, int) else "",
            labels,
        ).pod(ref)


def _message(value: Optional[Value]) -> Dict[int, Value]:
    """The fields of a message in a message, the last of each number. Raises WireError."""
    return {number: content for number, _, content in fields(as_bytes(value or b""))}


def _text(value: Optional[Value]) -> str:
    """A text. Raises WireError for a number."""
    return as_bytes(value or b"").decode("utf-8", "replace")
