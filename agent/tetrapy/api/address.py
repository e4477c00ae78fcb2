# SPDX-License-Identifier: Apache-2.0
"""Addresses of the API, as Tetragon and gRPC write them."""

from __future__ import annotations

from tetrapy.errors import TetrapyError
from tetrapy.named import NamedTuple

PORT = 54321
"""Tetragon's, of an address without one."""

SOCKET = "unix:///var/run/tetrapy/tetrapy.sock"
"""Where the agent listens unless it is told otherwise."""


class AddressError(TetrapyError):
    """A text is no address."""


class ApiAddress(NamedTuple):
    """A unix socket's `path`, or `host` and `port` of TCP."""

    path: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> ApiAddress:
        """What `unix:///path`, `unix:path`, `host:port`, `:port`, `[::1]:port` or `host` says.

        Raises AddressError.
        """
        if text.startswith("unix:"):
            path = text[len("unix:") :]
            path = path[2:] if path.startswith("//") else path
            if not path.startswith("/"):
                raise AddressError(f"{text}: the path of a unix socket begins with /")
            return cls(path, "", 0)
        for scheme in ("dns:///", "passthrough:///", "tcp://", "ipv4:", "ipv6:"):
            text = text[len(scheme) :] if text.startswith(scheme) else text
        host, colon, port = text.rpartition(":")
        if not colon or "]" in port or ("]" not in host and ":" in host):
            host, port = text, str(PORT)
        if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
            raise AddressError(f"{text}: {port} is no port")
        return cls("", host.strip("[]"), int(port))

    @property
    def authority(self) -> str:
        """What a client calls the server."""
        if self.path:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        """The text that says it."""
        return f"unix://{self.path}" if self.path else self.authority
