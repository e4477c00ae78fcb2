# SPDX-License-Identifier: Apache-2.0
"""Which kernel functions a hook names: symbols, system calls and lists of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Dict, Optional, Sequence, Tuple

from tetrapy.named import NamedTuple
from tetrapy.policy import names
from tetrapy.policy.problems import listed, quoted
from tetrapy.policy.types import NamedList
from tetrapy.policy.values import UnfitError

BITS_32 = 0x8000_0000
"""Set in the number of a 32-bit system call."""

# Machine (as uname tells it) -> its own ABI and the 32-bit one.
MACHINES = {"x86_64": ("x64", "i386"), "aarch64": ("arm64", "arm32")}
# 32-bit calls of arm64 run through the same functions as those of 64 bits.
_PREFIXES = {"x64": "__x64_", "i386": "__ia32_", "arm64": "__arm64_", "arm32": "__arm64_"}
_ABI_OF_PREFIX = {"__x64_": "x64", "__ia32_": "i386", "__arm64_": "arm64"}
_SYSCALL = "sys_"


class Syscall(NamedTuple):
    """A system call of an ABI; the name is without sys_."""

    abi: str
    name: str

    @property
    def symbol(self) -> str:
        """The kernel function that carries it out."""
        return _PREFIXES[self.abi] + _SYSCALL + self.name

    @property
    def number(self) -> Optional[int]:
        """Its number, with BITS_32 for those of 32 bits; None if it is not known."""
        found = numbers(self.abi).get(self.name)
        return found if found is None or self.abi in {"x64", "arm64"} else found | BITS_32


class Functions(NamedTuple):
    """What `call` stands for. With `generated` the kernel must be asked: a type of lists."""

    symbols: Tuple[str, ...]
    syscall: bool
    generated: str = ""
    pattern: str = ""


def functions(call: str, *, syscall: bool, lists: Sequence[NamedList], machine: str) -> Functions:
    """The functions of a hook on a machine. Raises UnfitError, a sentence on `call`.

    Lists of type generated_syscalls and generated_ftrace are left to who can ask the kernel:
    `generated` and `pattern` say what for.
    """
    if not call.startswith(names.LIST_PREFIX):
        return Functions((symbol(call, machine) if syscall else call,), syscall)
    found = find(call[len(names.LIST_PREFIX) :], lists)
    if found.type == names.SYSCALL_LIST:
        calls = tuple(parse_syscall(value, machine).symbol for value in found.values)
        return Functions(calls, syscall=True)
    if found.type:
        all_syscalls = found.type == names.ALL_SYSCALLS
        return Functions((), syscall or all_syscalls, found.type, found.pattern)
    return Functions(found.values, syscall)


def find(name: str, lists: Sequence[NamedList]) -> NamedList:
    """The list of a name. Raises UnfitError."""
    for one in lists:
        if one.name == name:
            return one
    known = listed(one.name for one in lists) or "none"
    raise UnfitError(f"names the list {quoted(name)}, which is not there; lists: {known}")


def symbol(call: str, machine: str) -> str:
    """The function of a system call that is written with or without the machine's prefix."""
    if call.startswith(tuple(_ABI_OF_PREFIX)):
        return call
    return _PREFIXES[MACHINES[machine][0]] + call


def parse_syscall(value: str, machine: str) -> Syscall:
    """`sys_read`, `__x64_sys_read`, `i386/sys_read`. Raises UnfitError."""
    abi, slash, call = value.rpartition("/")
    for prefix, own in _ABI_OF_PREFIX.items():
        if call.startswith(prefix):
            call = call[len(prefix) :]
            if slash and abi not in MACHINES_OF[own]:
                raise UnfitError(f"has the prefix {prefix}, which is not of the ABI {quoted(abi)}")
            abi = abi or own
    if not slash and not abi:
        abi = MACHINES[machine][0]
    if abi not in _PREFIXES:
        known = ", ".join(_PREFIXES)
        raise UnfitError(f"has the unknown ABI {quoted(abi)}; known are {known}")
    if not call.startswith(_SYSCALL) or call == _SYSCALL:
        raise UnfitError("is no system call: sys_read or i386/sys_read are")
    return Syscall(abi, call[len(_SYSCALL) :])


MACHINES_OF = {"x64": ("x64", "i386"), "i386": ("i386",), "arm64": ("arm64", "arm32")}
"""ABI of a prefix -> the ABIs that may be written in front of it."""


@lru_cache(maxsize=None)
def numbers(abi: str) -> Dict[str, int]:
    """Name -> number of the system calls of an ABI."""
    # Imported late: few policies need numbers.
    from tetrapy.policy.syscall_numbers import ABIS, TABLE

    cells = TABLE.split()
    width = len(ABIS) + 1
    own = cells[ABIS.index(abi) + 1 :: width]
    return {name: int(cell) for name, cell in zip(cells[::width], own) if cell != "-"}
