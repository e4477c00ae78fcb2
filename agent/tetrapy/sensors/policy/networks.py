# SPDX-License-Identifier: Apache-2.0
"""Numbers of sockets in Tetragon's words, and addresses as Go writes them."""

from __future__ import annotations

from functools import lru_cache
from typing import Callable, Dict, Mapping

from tetrapy.policy import names

_UNNAMED = frozenset({"AF_LOCAL", "AF_SNA", "IPPROTO_ICMPV6"})  # policies may say, events do not
_NO_ADDRESS = "invalid IP"  # what Go says of one that is none
_ZEROS = bytes(12)
_AF_INET, _AF_INET6 = names.FAMILIES["AF_INET"], names.FAMILIES["AF_INET6"]


def _by_number(numbers: Mapping[str, int]) -> Dict[int, str]:
    return {number: name for name, number in numbers.items() if name not in _UNNAMED}


FAMILIES = _by_number(names.FAMILIES)
PROTOCOLS = _by_number(names.PROTOCOLS)
TCP_STATES = _by_number(names.STATES)
# include/linux/net.h
SOCKET_TYPES = {
    number: f"SOCK_{name}"
    for number, name in enumerate("STREAM DGRAM RAW RDM SEQPACKET DCCP PACKET".split(), 1)
}


def named(words: Mapping[int, str], number: int) -> str:
    """The word for a number; one without a word is the number itself."""
    return words.get(number) or str(number)


@lru_cache(maxsize=None)
def _writer() -> Callable[[int, bytes], str]:
    from socket import inet_ntop  # most hooks have no sockets

    return inet_ntop


def address_text(family: int, address: bytes) -> str:
    """An address in text; `address` has at least as many bytes as the family's have."""
    if family == _AF_INET:
        return _writer()(family, address[:4])
    if family != _AF_INET6:
        return _NO_ADDRESS
    address = address[:16]
    if address.startswith(_ZEROS) and address[12] | address[13]:
        # The C library writes the last four bytes of such a one as of IPv4.
        high, low = (int.from_bytes(part, "big") for part in (address[12:14], address[14:]))
        return f"::{high:x}:{low:x}"
    return _writer()(family, address)
