# SPDX-License-Identifier: Apache-2.0
"""Containers out of the HTTP API that Docker has on a unix socket, and Podman too."""

from __future__ import annotations

import socket
import time
from typing import List, Optional

from tetrapy.containers.cgroup import ContainerRef
from tetrapy.containers.known import docker_pod
from tetrapy.events.container import Pod
from tetrapy.json_codec import loads

TIMEOUT = 2.0  # seconds for one answer
_MOST = 4 << 20  # bytes of an answer
_BLOCK = 64 << 10


class EngineApi:
    """A socket that is asked; a connection for each container, as there are few."""

    def __init__(self, path: str, runtime: str) -> None:
        """`runtime` is docker or podman: who listens."""
        self._path = path
        self._runtime = runtime

    def find(self, ref: ContainerRef) -> Optional[Pod]:
        """The container, None where it is not known. Raises OSError, ValueError."""
        answer = self._get(f"/containers/{ref.id}/json")
        head, _, body = answer.partition(b"\r\n\r\n")
        if head.split(b" ", 2)[1:2] != [b"200"]:
            return None
        found = loads(body)
        return docker_pod(self._runtime, ref, found)

    def _get(self, path: str) -> bytes:
        """An answer with its head. By HTTP/1.0: it ends where the connection does."""
        end = time.monotonic() + TIMEOUT
        parts: List[bytes] = []
        size = 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect(self._path)
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            while size <= _MOST:
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{self._path}: no end of an answer in {TIMEOUT:.0f} s")
                connection.settimeout(left)
                block = connection.recv(_BLOCK)
                if not block:
                    return b"".join(parts)
                parts.append(block)
                size += len(block)
        raise ValueError(f"{self._path}: an answer of more than {_MOST} bytes")
