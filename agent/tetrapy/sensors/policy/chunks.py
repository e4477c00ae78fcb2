# SPDX-License-Identifier: Apache-2.0
"""Bytes of values that are larger than a record, until the record of the call comes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, List, Tuple

from tetrapy.events.arguments import Argument, TruncatedBytes

MAX_CALLS, MAX_BYTES = 64, 4 << 20
"""Calls of which bytes may wait, and how many of all."""

Key = Tuple[int, int, int]  # hook, thread, when: a call whose own record was lost is another one


class Chunks:
    """The oldest are forgotten if there are too many: their call is reported with fewer bytes."""

    def __init__(self) -> None:
        self.waiting: OrderedDict[Key, Tuple[int, bytearray]] = OrderedDict()
        self._bytes = 0

    def add(self, key: Key, index: int, data: bytes) -> None:
        """More bytes of a value of a call."""
        self.waiting.setdefault(key, (index, bytearray()))[1].extend(data)
        self._bytes += len(data)
        while len(self.waiting) > MAX_CALLS or self._bytes > MAX_BYTES:
            self._take(next(iter(self.waiting)))

    def complete(self, key: Key, values: List[Any]) -> None:
        """Put all that came of a call behind the bytes of its value."""
        if key not in self.waiting:
            return
        index, more = self._take(key)
        value = values[index]
        if isinstance(value, Argument) and isinstance(value.value, TruncatedBytes):
            data, size = value.value.data + more, value.value.size
            if len(data) < size:
                values[index] = value._replace(value=TruncatedBytes(data, size))
            else:
                values[index] = Argument("bytes_arg", data, value.label)

    def _take(self, key: Key) -> Tuple[int, bytearray]:
        found = self.waiting.pop(key)
        self._bytes -= len(found[1])
        return found
