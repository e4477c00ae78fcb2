# SPDX-License-Identifier: Apache-2.0
"""What is kept for a while of everybody, in a bounded room of which nobody fills another's part."""

from __future__ import annotations

from collections import OrderedDict
from typing import Dict, Generic, Hashable, Optional, Tuple, TypeVar

from tetrapy.events.account import Account

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class SharedStore(Generic[_Key, _Value]):
    """Values by keys. When there is no room the oldest of whoever takes most gives way.

    A container takes part as one, as does a user of the host (`Account.together`).
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        """Room for `most` values, of `most_bytes` together."""
        self._most_bytes = most_bytes
        self._least = most_bytes // most  # that each is taken to have
        self._bytes = 0
        self._values: Dict[_Key, Tuple[_Value, int, Hashable]] = {}
        self._keys: Dict[Hashable, OrderedDict[_Key, None]] = {}  # by owner, the oldest first
        self._taken: Dict[Hashable, int] = {}  # bytes, by owner

    def __len__(self) -> int:
        return len(self._values)

    def put(self, key: _Key, value: _Value, size: int, account: Account) -> None:
        """Keep a value, in place of a former one of the key."""
        self.pop(key)
        size = max(size, self._least)
        owner = account.together
        self._values[key] = value, size, owner
        self._keys.setdefault(owner, OrderedDict())[key] = None
        self._taken[owner] = self._taken.get(owner, 0) + size
        self._bytes += size
        while self._bytes > self._most_bytes:
            largest = max(self._taken, key=self._taken.__getitem__)
            self.pop(next(iter(self._keys[largest])))

    def get(self, key: _Key) -> Optional[_Value]:
        """None where it is not there, or gave way."""
        found = self._values.get(key)
        return None if found is None else found[0]

    def pop(self, key: _Key) -> Optional[_Value]:
        """Forget a value; None where it is not there."""
        found = self._values.pop(key, None)
        if found is None:
            return None
        value, size, owner = found
        self._bytes -= size
        self._taken[owner] -= size
        del self._keys[owner][key]
        if not self._keys[owner]:
            del self._keys[owner], self._taken[owner]
        return value
