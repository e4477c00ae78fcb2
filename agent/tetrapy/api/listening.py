# SPDX-License-Identifier: Apache-2.0
"""Sockets to listen at. An agent makes them at its start, so this imports next to nothing.

A unix socket is made in a private directory, where nobody can connect before its mode and group
are right, and then renamed.
"""

from __future__ import annotations

import _socket  # the library's socket would cost a start 25 million instructions
import errno
import os
from typing import List

from tetrapy.api.address import AddressError, ApiAddress
from tetrapy.errors import TetrapyError

_MODE = 0o660
_BACKLOG = 64


class ListenError(TetrapyError):
    """An address cannot be listened at."""


def listen(address: ApiAddress, group: str = "") -> List[int]:
    """The descriptors of sockets that listen there. Raises ListenError.

    `group` may connect to a unix socket, beside root.
    """
    try:
        return [_unix(address.path, group)] if address.path else _tcp(address)
    except OSError as err:
        raise ListenError(f"cannot listen at {address}: {err.strerror or err}") from err


def _new(family: int) -> _socket.socket:
    made = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    made.setblocking(False)
    return made


def _unix(path: str, group: str) -> int:
    directory = os.path.dirname(path)
    os.makedirs(directory, 0o755, exist_ok=True)
    private = os.path.join(directory, f".{os.path.basename(path)}.{os.getpid()}")
    inner = os.path.join(private, "s")
    try:
        _remove(private, inner)
        os.mkdir(private, 0o700)
        made = _new(_socket.AF_UNIX)
        made.bind(inner)
        if group:
            os.chown(inner, -1, _group_id(group))
        os.chmod(inner, _MODE)
        made.listen(_BACKLOG)
        os.rename(inner, path)
    finally:
        _remove(private, inner)
    return made.detach()


def _remove(private: str, inner: str) -> None:
    for remove, path in ((os.unlink, inner), (os.rmdir, private)):
        try:
            remove(path)
        except FileNotFoundError:
            pass


def _group_id(name: str) -> int:
    import grp  # most agents name none

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        if name.isascii() and name.isdigit():
            return int(name)
        raise ListenError(f"there is no group {name}") from None


def _tcp(address: ApiAddress) -> List[int]:
    import socket

    found = socket.getaddrinfo(
        address.host or None, address.port, 0, socket.SOCK_STREAM, 0, socket.AI_PASSIVE
    )
    sockets: List[int] = []
    failure = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    for family, _, _, _, where in found:
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind(where)
            made.listen(_BACKLOG)
            made.setblocking(False)
        except OSError as err:  # a machine without IPv6 still has `localhost`
            made.close()
            failure = err
            continue
        sockets.append(made.detach())
    if not sockets:
        raise failure
    return sockets


def is_loopback(address: ApiAddress) -> bool:
    """Whether only this machine can connect there."""
    host = address.host
    return bool(address.path) or host in {"localhost", "::1"} or host.startswith("127.")


__all__ = ["AddressError", "ListenError", "is_loopback", "listen"]
