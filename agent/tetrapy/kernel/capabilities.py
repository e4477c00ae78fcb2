# SPDX-License-Identifier: Apache-2.0
"""Dropping capabilities for good (capabilities(7)): an agent that listens needs few of them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import struct
from typing import Iterable, Iterator, Tuple

from tetrapy.errors import KernelError
from tetrapy.kernel import sys_calls
from tetrapy.named import NamedTuple

# What an agent may need at one time or another (include/uapi/linux/capability.h).
NUMBERS = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_FOWNER": 3,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_RESOURCE": 24,
    "CAP_SYSLOG": 34,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}

_VERSION_3 = 0x20080522  # include/uapi/linux/capability.h
_MAX_COUNT = 64  # capabilities that the sets have room for
# include/uapi/linux/prctl.h
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4


class Sets(NamedTuple):
    """Capability sets as numbers; bit N is the capability N."""

    inheritable: int
    permitted: int
    effective: int


def held() -> Sets:
    """The capability sets of the calling thread."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0))
    data = (ctypes.c_uint32 * 6)()  # twice effective, permitted, inheritable
    sys_calls.call("capget", ctypes.addressof(header), ctypes.addressof(data))
    effective, permitted, inheritable = (data[at] | data[at + 3] << 32 for at in range(3))
    return Sets(inheritable, permitted, effective)


def drop_all_but(names: Iterable[str], reserve: Iterable[str] = ()) -> Tuple[str, ...]:
    """Keep these capabilities, as far as they are held, and no others; returns which were kept.

    Those of `reserve` are without effect, but for what is done within `raised`.
    It holds for the calling thread and those that it starts later: call it before there are others.
    No program that is executed later gets more, whoever owns it (no_new_privs, and an empty
    inheritable, ambient and bounding set but for these, where the latter may be changed).
    Raises KernelError when a security module or a seccomp filter forbids it.
    """
    wanted = {name: 1 << NUMBERS[name] for name in names}
    keep = sum(set(wanted.values()))
    permitted = keep | sum({1 << NUMBERS[name] for name in reserve} - {*wanted.values()})
    try:
        _empty_bounding_set(keep)
        before = held()
        after = Sets(0, before.permitted & permitted, before.effective & keep)
        change(after)
        sys_calls.call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
        sys_calls.call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    except OSError as err:
        raise KernelError(
            f"capabilities cannot be given up: {err.strerror}", err.errno or 0
        ) from err
    return tuple(name for name, bit in wanted.items() if after.effective & bit)


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """The calling thread has in effect all capabilities that it may have, for a while."""
    before = held()
    if before.effective == before.permitted:
        yield
        return
    change(before._replace(effective=before.permitted))
    try:
        yield
    finally:
        change(before)


def _empty_bounding_set(keep: int) -> None:
    for number in range(_MAX_COUNT):
        if keep >> number & 1:
            continue
        try:
            sys_calls.call("prctl", _PR_CAPBSET_DROP, number, 0, 0, 0)
        except OSError as err:
            # EINVAL: this kernel has no more. EPERM: the set is not ours to change (CAP_SETPCAP);
            # no_new_privs and what is held now bound what an exec can gain just as well.
            if err.errno not in {errno.EINVAL, errno.EPERM}:
                raise
            return


def change(sets: Sets) -> None:
    """Give the calling thread these capability sets. Raises OSError."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0))
    words = (sets.effective, sets.permitted, sets.inheritable)
    halves = [word & 0xFFFFFFFF for word in words] + [word >> 32 for word in words]
    data = (ctypes.c_uint32 * 6)(*halves)
    sys_calls.call("capset", ctypes.addressof(header), ctypes.addressof(data))
