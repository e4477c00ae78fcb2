# SPDX-License-Identifier: Apache-2.0
"""Addresses of stacks -> entries of stack traces."""

from __future__ import annotations

from typing import Tuple

from tetrapy.events.arguments import StackEntry
from tetrapy.kernel.kallsyms import KernelSymbols
from tetrapy.sensors.policy.user_symbols import UserSymbols


class Stacks:
    """Names what is on the stacks of calls."""

    def __init__(self, *, with_addresses: bool = False) -> None:
        """`with_addresses`: show where in memory it is, which helps who attacks too."""
        self._with_addresses = with_addresses
        self.kernel = KernelSymbols()
        self._user = UserSymbols()

    def of_kernel(self, data: bytes) -> Tuple[StackEntry, ...]:
        """By the addresses, the innermost first."""
        entries = []
        for address in _addresses(data):
            found = self.kernel.find(address)
            shown = address if self._with_addresses else 0
            if found is not None:
                entries.append(StackEntry(shown, found.offset, found.name, ""))
            elif shown:
                entries.append(StackEntry(shown, 0, "", ""))
        return tuple(entries)

    def of_process(self, pid: int, data: bytes) -> Tuple[StackEntry, ...]:
        """The same; without addresses nothing is reported of a process that is gone."""
        addresses = list(_addresses(data))
        found = self._user.find(pid, addresses) or [None] * len(addresses)
        entries = []
        for address, symbol in zip(addresses, found):
            shown = address if self._with_addresses else 0
            if symbol is not None:
                entries.append(StackEntry(shown, symbol.offset, symbol.name, symbol.module))
            elif shown:
                entries.append(StackEntry(shown, 0, "", ""))
        return tuple(entries)


def _addresses(data: bytes) -> Tuple[int, ...]:
    whole = len(data) // 8 * 8
    return tuple(address for address in memoryview(data[:whole]).cast("Q") if address)
