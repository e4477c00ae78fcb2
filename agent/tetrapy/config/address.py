# SPDX-License-Identifier: Apache-2.0
"""Addresses to listen at, written as Go's net.Listen takes them."""

from __future__ import annotations

import re

from tetrapy.named import NamedTuple

# A host in brackets is an IPv6 address, with or without a zone; one outside has no colon.
_ADDRESS = re.compile(
    r"(?:\[(?P<bracketed>[0-9a-f:.]+(?:%[\w.-]+)?)\]|(?P<name>[\w.-]*)):(?P<port>\d{1,5})",
    re.ASCII | re.IGNORECASE,
)
_MAX_PORT = 65535


class Address(NamedTuple):
    """`host`: name or number, empty for every address of the machine; `port`: 0 for a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """What `:2112`, `localhost:2112`, `127.0.0.1:2112` or `[::1]:2112` says.

        Raises ValueError for any other text.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None or int(found["port"]) > _MAX_PORT:
            raise ValueError(f"no address: {text}")
        return cls(found["bracketed"] or found["name"] or "", int(found["port"]))

    def __str__(self) -> str:
        """The text that a setting has for this value."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
