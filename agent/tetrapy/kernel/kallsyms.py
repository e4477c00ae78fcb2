# SPDX-License-Identifier: Apache-2.0
"""Names of the kernel's code by address, from /proc/kallsyms: some 130,000 functions.

They are read when a policy asks for them, which takes a few tenths of a second, and while the
agent still may: the kernel shows addresses to those with CAP_SYSLOG. Names are kept compressed, in
blocks, beside a table of addresses: about 2.5 MB.
"""

from __future__ import annotations

import time
import zlib
from array import array
from bisect import bisect_right
from collections import OrderedDict
from typing import List, Optional

from tetrapy.named import NamedTuple

MAX_SYMBOLS = 1 << 20
MAX_KNOWN = 4096
"""Addresses whose names are remembered: stacks repeat."""

_KALLSYMS, _MODULES = "/proc/kallsyms", "/proc/modules"
_CODE = frozenset(b"tTwW")  # what nm(1) calls the text section, and weak symbols
_BLOCK = 256  # names
_LONGEST = 1 << 16  # bytes of a function: kallsyms tells no sizes
_RECHECK = 5.0  # seconds between looks at whether modules have changed


class KernelSymbol(NamedTuple):
    """A function, and how many bytes behind its beginning the address is."""

    name: str
    offset: int


class KernelSymbols:
    """The functions of the kernel and of its modules."""

    def __init__(self, kallsyms: str = _KALLSYMS, modules: str = _MODULES) -> None:
        self._kallsyms = kallsyms
        self._modules_file = modules
        self._addresses: array[int] = array("Q")
        self._names: List[bytes] = []  # of _BLOCK functions each, compressed
        self._core_end = 0  # modules are behind it
        self._modules = b""
        self._checked = -_RECHECK
        self._is_read = False
        self._modules_known = True
        self._known: OrderedDict[int, Optional[KernelSymbol]] = OrderedDict()

    def read(self) -> None:
        """Read them, unless they are known."""
        if not self._is_read:
            self._read()

    def find(self, address: int) -> Optional[KernelSymbol]:
        """The function that an address is in; None where nobody tells."""
        if address >= self._core_end:
            if self._has_changed():
                self._read()
            if not self._modules_known:
                return None
        if address in self._known:
            self._known.move_to_end(address)
            return self._known[address]
        found = self._known[address] = self._look_up(address)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return found

    def _look_up(self, address: int) -> Optional[KernelSymbol]:
        at = bisect_right(self._addresses, address) - 1
        if at < 0:
            return None
        if address - self._addresses[at] >= _LONGEST:
            return None  # code that came later, as that of BPF programs
        block = zlib.decompress(self._names[at // _BLOCK]).split(b"\n")
        name = block[at % _BLOCK].decode("utf-8", "replace")
        return KernelSymbol(name, address - self._addresses[at])

    def _has_changed(self) -> bool:
        """Whether modules came or went since the functions were read."""
        now = time.monotonic()
        if now - self._checked < _RECHECK:
            return False
        self._checked = now
        return self._loaded_modules() != self._modules

    def _loaded_modules(self) -> bytes:
        try:
            with open(self._modules_file, "rb") as file:
                # Name, size, and address of each; the number of users changes all the time.
                return b"\n".join(
                    b" ".join((line.split(b" ", 1)[0], line.rsplit(b" ", 1)[-1]))
                    for line in file.read().splitlines()
                )
        except OSError:
            return b""

    def _read(self) -> None:
        self._known.clear()
        self._modules = self._loaded_modules()
        addresses, names, ends = array("Q"), bytearray(), array("I", [0])
        core_end = 0
        try:
            with open(self._kallsyms, "rb") as file:
                for line in file:  # address, type, name, [module]
                    words = line.split()
                    if len(words) < 3 or words[1][0] not in _CODE:
                        continue
                    address = int(words[0], 16)
                    if not address:  # hidden
                        continue
                    addresses.append(address)
                    names += words[2]
                    ends.append(len(names))
                    if len(words) == 3:
                        core_end = max(core_end, address)
                    if len(addresses) >= MAX_SYMBOLS:
                        break
        except (OSError, ValueError):
            addresses = array("Q")
        self._modules_known = bool(addresses)
        if not addresses:
            return  # nobody tells: what was read before holds for the kernel itself
        self._is_read = True
        order = sorted(range(len(addresses)), key=addresses.__getitem__)
        self._addresses = array("Q", [addresses[at] for at in order])
        self._names = [
            zlib.compress(b"\n".join(_between(names, ends, at) for at in order[n : n + _BLOCK]), 1)
            for n in range(0, len(order), _BLOCK)
        ]
        self._core_end = core_end


def _between(names: bytearray, ends: array[int], at: int) -> bytes:
    return bytes(names[ends[at] : ends[at + 1]])
