# SPDX-License-Identifier: Apache-2.0
"""Maps of a loaded object, as dictionaries of the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


class FakeMap:
    """A hash of fixed sizes."""

    def __init__(self, key_size: int, value_size: int) -> None:
        self.sizes = (key_size, value_size)
        self.entries: dict[bytes, bytes] = {}
        self.writes = 0

    def get(self, key: bytes) -> bytes | None:
        assert len(key) == self.sizes[0]
        return self.entries.get(key)

    def put(self, key: bytes, value: bytes) -> bool:
        assert (len(key), len(value)) == self.sizes
        self.writes += 1
        self.entries[key] = value
        return True

    def put_new(self, key: bytes, value: bytes) -> bool:
        return key not in self.entries and self.put(key, value)

    def delete(self, key: bytes) -> bool:
        return self.entries.pop(key, None) is not None

    def __iter__(self) -> Iterator[bytes]:
        return iter(list(self.entries))


class FakeObject:
    """A loaded object: each of its maps appears when it is first opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *modules: Any) -> None:
        self.maps: dict[str, FakeMap] = {}
        self._names: list[str] = []
        for module in modules:
            monkeypatch.setattr(module, "BpfMap", self._open)

    def map_fd(self, name: str) -> int:
        self._names.append(name)
        return len(self._names) - 1

    def _open(self, fd: int, key_size: int, value_size: int) -> FakeMap:
        name = self._names[fd]
        return self.maps.setdefault(name, FakeMap(key_size, value_size))
