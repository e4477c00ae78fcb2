# SPDX-License-Identifier: Apache-2.0
"""Changes of maps of maps that are made together; in place of the kernel a list."""

from __future__ import annotations

import os
import threading
from struct import unpack
from typing import Any

import pytest

from tetrapy.errors import KernelError
from tetrapy.sensors.policy import changes as module
from tetrapy.sensors.policy.changes import Changes

PATIENCE = 60.0  # seconds until a test fails; nothing is decided by it
OUTER = {"hooks": 1000, "sets": 1001}


class Kernel:
    """What is in which slot: inodes of what is open in place of maps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slots: dict[tuple[int, int], int] = {}
        self.refused: set[int] = set()
        self.meets = threading.Barrier(1)
        self.used: list[int] = []
        monkeypatch.setattr(module, "put", self.put)
        monkeypatch.setattr(module, "drop", self.drop)

    def put(self, outer: int, key: bytes, value: bytes) -> None:
        """As that of kernel.maps."""
        self.meets.wait(PATIENCE)
        (slot,), (fd,) = unpack("=I", key), unpack("=I", value)
        self.used.append(fd)
        if slot in self.refused:
            raise KernelError(f"slot {slot}")
        self.slots[outer, slot] = os.fstat(fd).st_ino

    def drop(self, outer: int, key: bytes) -> None:
        """As that of kernel.maps."""
        self.meets.wait(PATIENCE)
        self.slots.pop((outer, *unpack("=I", key)), None)


@pytest.fixture(name="kernel")
def fixture_kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """With nothing in it."""
    return Kernel(monkeypatch)


def a_map() -> tuple[int, int]:
    """A file descriptor and its inode."""
    fd = os.memfd_create("map")
    return fd, os.fstat(fd).st_ino


def put(changes: Changes, name: str, slot: int) -> int:
    """Have a new map be put there, and close it; its inode."""
    fd, inode = a_map()
    changes.put(name, slot, fd)
    os.close(fd)
    return inode


def is_closed(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return True
    return False


def nothing() -> None:
    """Nobody asks."""


def test_the_last_change_of_a_slot_holds(kernel: Kernel) -> None:
    """Nothing is done before; what was wanted first is closed unused."""
    changes = Changes(OUTER.__getitem__)
    put(changes, "hooks", 1)
    last, other = put(changes, "hooks", 1), put(changes, "sets", 1)
    put(changes, "hooks", 2)
    changes.drop("hooks", 2)
    assert kernel.slots == {}
    changes.make(nothing)
    assert kernel.slots == {(1000, 1): last, (1001, 1): other}
    changes.drop("sets", 1)
    changes.make(nothing)
    changes.make(nothing)
    assert kernel.slots == {(1000, 1): last}
    assert all(map(is_closed, kernel.used))


def test_many_wait_together(kernel: Kernel) -> None:
    """Each until all of them are under way."""
    changes = Changes(OUTER.__getitem__)
    kernel.meets = threading.Barrier(32)
    inodes = {(1000, slot): put(changes, "hooks", slot) for slot in range(32)}
    changes.make(nothing)
    assert kernel.slots == inodes


@pytest.mark.parametrize("count", [3, 30])
def test_a_change_that_the_kernel_refuses(kernel: Kernel, count: int) -> None:
    """All others are made, and it is reported; nothing stays open."""
    changes = Changes(OUTER.__getitem__)
    kernel.refused = {1}
    for slot in range(count):
        put(changes, "hooks", slot)
    with pytest.raises(KernelError, match="slot 1"):
        changes.make(nothing)
    assert sorted(kernel.slots) == [(1000, slot) for slot in range(count) if slot != 1]
    assert len(kernel.used) == count
    assert all(map(is_closed, kernel.used))
    changes.make(nothing)


def test_the_caller_gives_signs_of_life(kernel: Kernel) -> None:
    """While it waits for many."""
    changes = Changes(OUTER.__getitem__)
    signed = threading.Event()
    kernel.meets = Waits(signed)  # type: ignore[assignment]
    for slot in range(30):
        put(changes, "hooks", slot)
    changes.make(signed.set)
    assert len(kernel.slots) == 30


class Waits:
    """In place of a barrier: until there is a sign."""

    def __init__(self, signed: threading.Event) -> None:
        self._signed = signed

    def wait(self, seconds: float) -> Any:
        """Returns whether it came."""
        assert self._signed.wait(seconds)
