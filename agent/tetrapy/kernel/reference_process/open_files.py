# SPDX-License-Identifier: Apache-2.0
"""Files and sockets that the prepared process holds, by which what policies read is proven.

Only who asks has them made: the base sensor reads nothing of them.
"""

from __future__ import annotations

import fcntl
import os
import socket
from typing import Any, Callable, Dict, List, Optional, Tuple

from tetrapy.kernel.reference_process.kernel_objects import (
    OpenEvent,
    OpenMap,
    OpenProgram,
    open_event,
    open_map,
    open_program,
)
from tetrapy.kernel.reference_process.plan import Plan
from tetrapy.named import NamedTuple

_SO_MARK = 36  # include/uapi/asm-generic/socket.h


class OpenFile(NamedTuple):
    """A file, by the number of its descriptor."""

    number: int
    inode: int
    mode: int


class OpenSocket(NamedTuple):
    """A socket, by the number of its descriptor.

    Addresses are hexadecimal digits of their bytes; `state` is as TCP counts
    (include/net/tcp_states.h).
    """

    number: int
    family: int
    kind: int
    protocol: int
    state: int
    mark: int  # 0 where it could not be set
    priority: int
    source: str
    destination: str
    source_port: int
    destination_port: int


class OpenFiles(NamedTuple):
    """A pipe, the program that runs, and more; what could not be made is None."""

    pipe: OpenFile
    program: OpenFile
    connected: Optional[OpenSocket]  # UDP over IPv4
    listening: Optional[OpenSocket]  # TCP over IPv4
    mapped: Optional[OpenSocket]  # UDP over IPv6, to addresses of IPv4
    routed: Optional[OpenFile]  # a socket that knows its way to the loopback device
    bpf_map: Optional[OpenMap]
    bpf_program: Optional[OpenProgram]
    perf_event: Optional[OpenEvent]

    @classmethod
    def of(cls, rows: List[Any]) -> OpenFiles:
        """What `opened` says, out of JSON."""
        made: List[Any] = [kind(*row) if row else None for kind, row in zip(_KINDS, rows)]
        return cls(*made)


_KINDS: Tuple[Any, ...] = (
    *(OpenFile, OpenFile, OpenSocket, OpenSocket, OpenSocket),
    *(OpenFile, OpenMap, OpenProgram, OpenEvent),
)


def opened(plan: Plan, limits: List[str]) -> OpenFiles:
    """Open them in the calling process, which leaves them open. Raises OSError."""
    reading, _writing = os.pipe()
    pipe = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, plan.descriptor)
    program = os.open("/proc/self/exe", os.O_RDONLY | os.O_CLOEXEC)
    more: Dict[str, Any] = {}
    for name, what, make in _MORE:
        try:
            more[name] = make(plan)
        except OSError as err:
            more[name] = None
            limits.append(f"the prepared process has no {what}: {err}")
    return OpenFiles(_file(pipe), _file(program), **more)


def _file(number: int) -> OpenFile:
    found = os.fstat(number)
    return OpenFile(number, found.st_ino, found.st_mode)


def _connected(plan: Plan) -> OpenSocket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    made.bind((plan.source, 0))
    made.connect((plan.destination, plan.port))
    return _described(made, 1, plan)


def _listening(plan: Plan) -> OpenSocket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    made.bind((plan.source, 0))
    made.listen(1)
    return _described(made, 10, plan)


def _mapped(plan: Plan) -> OpenSocket:
    made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.bind((f"::ffff:{plan.source}", 0))
    made.connect((f"::ffff:{plan.destination}", plan.port))
    return _described(made, 1, plan)


def _routed(plan: Plan) -> OpenFile:
    """Without a mark, which would have it forget its way."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    made.connect((plan.destination, plan.port))
    return _file(made.detach())


def _described(made: socket.socket, state: int, plan: Plan) -> OpenSocket:
    mark = 0
    try:
        made.setsockopt(socket.SOL_SOCKET, _SO_MARK, plan.mark)
        mark = plan.mark
        made.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, plan.priority)
    except PermissionError:
        # Without CAP_NET_ADMIN there are seven priorities, and no marks.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 6)
    address, port = made.getsockname()[:2]
    peer = (made.getpeername() if state == 1 else ("", 0))[:2]
    return OpenSocket(
        made.detach(),
        made.family,
        made.type & 0xF,
        socket.IPPROTO_TCP if made.type & 0xF == socket.SOCK_STREAM else socket.IPPROTO_UDP,
        state,
        mark,
        plan.priority if mark else 6,
        socket.inet_pton(made.family, address).hex(),
        socket.inet_pton(made.family, peer[0]).hex() if peer[0] else "",
        port,
        peer[1],
    )


_MORE: Tuple[Tuple[str, str, Callable[[Plan], Any]], ...] = (
    ("connected", "connected socket", _connected),
    ("listening", "listening socket", _listening),
    ("mapped", "mapped socket", _mapped),
    ("routed", "socket with a route", _routed),
    ("bpf_map", "BPF map", open_map),
    ("bpf_program", "BPF program", open_program),
    ("perf_event", "perf event", open_event),
)
