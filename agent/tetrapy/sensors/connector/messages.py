# SPDX-License-Identifier: Apache-2.0
"""Messages of the process connector -> records (struct proc_event, include/uapi/linux/cn_proc.h).

Times are the kernel's CLOCK_MONOTONIC, which does not count suspended time.
"""

from __future__ import annotations

import struct
from typing import Optional, Union

from tetrapy.errors import FormatError
from tetrapy.named import NamedTuple
from tetrapy.sensors.connector.snapshot import Snapshot


class Fork(NamedTuple):
    """A new thread; the first one of a process has its pid."""

    pid: int  # of the process
    tid: int
    parent: int  # pid of the process that is reported when this one ends
    time: int


class Exec(NamedTuple):
    """A process runs a new image; `seen` is what procfs showed of it then."""

    pid: int
    time: int
    seen: Optional[Snapshot] = None


class Exit(NamedTuple):
    """The end of a thread."""

    pid: int
    tid: int
    code: int  # as wait(2) reports it
    time: int


class Owner(NamedTuple):
    """A thread got another user."""

    pid: int
    tid: int
    real_uid: int
    uid: int  # effective
    time: int


class Name(NamedTuple):
    """A thread got another name."""

    pid: int
    tid: int
    comm: bytes
    time: int


class Gap(NamedTuple):
    """Messages were lost here."""

    lost: int


Record = Union[Fork, Exec, Exit, Owner, Name, Gap]


class Message(NamedTuple):
    """One message: its number among those of its CPU, and the record, if it is one of ours."""

    cpu: int
    number: int
    record: Optional[Record]


_FORK, _EXEC, _UID, _COMM, _EXIT = 0x1, 0x2, 0x4, 0x200, 0x80000000

# nlmsghdr: type; cn_msg: idx, val, seq, len; proc_event: what, cpu, timestamp_ns, its union
_MESSAGE = struct.Struct("=4x H 10x III 4x H 2x IIQ 4I 8x")
_COMM_AT = slice(60, 76)
_EVENT_SIZE = 40
_DONE = 3  # NLMSG_DONE, the type that the connector gives to what it sends
_PROCESS = 1  # CN_IDX_PROC and CN_VAL_PROC


def parse(data: bytes) -> Message:
    """Read one message. Raises FormatError when it is not one of the process connector."""
    if len(data) < _MESSAGE.size:
        raise FormatError(f"message of {len(data)} bytes, not of {_MESSAGE.size}")
    kind, idx, val, number, size, what, cpu, time, a, b, c, d = _MESSAGE.unpack_from(data)
    if kind != _DONE or idx != _PROCESS or val != _PROCESS or size < _EVENT_SIZE:
        raise FormatError(f"message of type {kind} from connector {idx}.{val}, {size} bytes")
    record: Optional[Record] = None
    if what == _FORK:
        record = Fork(d, c, b, time)
    elif what == _EXEC:
        record = Exec(b, time)
    elif what == _EXIT:
        record = Exit(b, a, c, time)
    elif what == _UID:
        record = Owner(b, a, c, d, time)
    elif what == _COMM:
        record = Name(b, a, data[_COMM_AT].partition(b"\0")[0], time)
    return Message(cpu, number, record)
