# SPDX-License-Identifier: Apache-2.0
"""Capability sets of the calling thread, and distinct ones for it (capabilities(7))."""

from __future__ import annotations

import errno
import os
from typing import Iterator

from tetrapy.kernel import capabilities, sys_calls
from tetrapy.kernel.capabilities import Sets, change
from tetrapy.named import NamedTuple

# include/uapi/linux/prctl.h
_PR_CAPBSET_READ, _PR_GET_SECUREBITS, _PR_SET_SECUREBITS = 23, 27, 28
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_NO_ROOT = 1  # SECBIT_NOROOT (include/uapi/linux/securebits.h)


class DistinctSets(NamedTuple):
    """Sets in the order of struct cred, which has the bounding set before the last one.

    The kernel wants the effective set inside the permitted one, and the ambient set inside both the
    permitted and the inheritable one.
    """

    inheritable: int
    permitted: int
    effective: int
    ambient: int


def set_distinct_capabilities(wanted: DistinctSets, securebits: int) -> None:
    """Have as much of the wanted sets as the thread's own allow, and these securebits.

    Raises OSError if they cannot be changed, or too little is held for four sets that differ.
    """
    held = capabilities.held()
    odd = DistinctSets(*(part & held.permitted for part in wanted))
    if len({0, *odd}) <= len(odd):
        raise OSError(errno.EPERM, f"of capabilities too few are held, {held.permitted:#x}")
    change(held._replace(inheritable=odd.inheritable))
    for capability in _numbers(odd.ambient):
        sys_calls.call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)
    sys_calls.call("prctl", _PR_SET_SECUREBITS, securebits, 0, 0, 0)
    change(Sets(odd.inheritable, odd.permitted, odd.effective))


def give_up_for_exec() -> bool:
    """Give up a capability that an exec gives back; whether that was possible.

    Root gets from any exec all that is not out of bounds, unless its securebits are against it.
    """
    try:
        if os.geteuid() or sys_calls.call("prctl", _PR_GET_SECUREBITS, 0, 0, 0, 0) & _NO_ROOT:
            return False
        held = capabilities.held()
        for number in _numbers(held.permitted):
            if sys_calls.call("prctl", _PR_CAPBSET_READ, number, 0, 0, 0):
                change(Sets(*(part & ~(1 << number) for part in held)))
                return True
    except OSError:
        pass
    return False


def _numbers(bits: int) -> Iterator[int]:
    """The numbers of the bits that are set, the highest first."""
    return (number for number in range(bits.bit_length() - 1, -1, -1) if bits >> number & 1)
