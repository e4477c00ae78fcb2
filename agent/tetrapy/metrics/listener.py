# SPDX-License-Identifier: Apache-2.0
"""A socket that listens where a setting says."""

from __future__ import annotations

import errno
import socket

from tetrapy.config.address import Address
from tetrapy.errors import MetricsError

# What is served -> the setting that says where.
_SETTINGS = {"metrics": "--metrics-server", "health": "--healthz-address"}

# What a machine without this family of addresses says.
_NOT_HERE = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


def listen(address: Address, what: str = "metrics") -> socket.socket:
    """A listening TCP socket; `what` it is for is told when there can be none.

    Without a host: every address of the machine, IPv6 and IPv4, as Go does. Of a name's addresses
    the first that this machine has, IPv4 before IPv6. Raises MetricsError naming the address.
    """
    preferred = socket.AF_INET if address.host else socket.AF_INET6
    try:
        # As bytes, or Python would load its tables of international names.
        host = address.host.encode() or None
        found = socket.getaddrinfo(
            host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as err:
        raise _refused(what, address, err) from err
    refusal = OSError(errno.EADDRNOTAVAIL, "the name has no address")
    for family, _, _, _, place in sorted(found, key=lambda one: one[0] != preferred):
        try:
            return _bound(socket.AddressFamily(family), place)
        except OSError as err:
            refusal = err
            if err.errno not in _NOT_HERE:
                break
    raise _refused(what, address, refusal) from refusal


def _bound(family: socket.AddressFamily, place: object) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(place)  # type: ignore[arg-type] # what getaddrinfo calls an address
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _refused(what: str, address: Address, err: OSError) -> MetricsError:
    return MetricsError(
        f"{what} cannot be served at {address}: {err.strerror}; give {_SETTINGS[what]} an address"
        " of this machine and a port that is free"
    )
