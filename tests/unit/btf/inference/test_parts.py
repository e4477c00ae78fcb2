# SPDX-License-Identifier: Apache-2.0
"""Releases and their order, and memory."""

from __future__ import annotations

import pytest

from tetrapy.btf.host import Host as KernelName
from tetrapy.btf.inference.memory import Memory, Unreadable
from tetrapy.btf.inference.nearest import Release, order, parse

HOST = KernelName("debian", "13", "x86_64", "6.12.107+deb13-cloud-amd64")


@pytest.mark.parametrize(
    ("release", "parts"),
    [
        ("6.12.107+deb13-rt-amd64", ((6, 12), 107, True)),
        ("5.10.0-32-cloud-amd64", ((5, 10), 32, False)),
        ("6.1.0-0.deb11.48-amd64", ((6, 1), 48, False)),
        ("4.18.0-147.5.1.el8_1.aarch64", ((4, 18), 147, False)),
        ("7.3-amd64", ((7, 3), 0, False)),
        ("5.15.0-1-generic", ((5, 15), 1, False)),
        ("none", ((0, 0), 0, False)),
    ],
)
def test_releases(release: str, parts: tuple[tuple[int, int], int, bool]) -> None:
    """Series, patch level or ABI number, and whether it is a real-time kernel."""
    assert parse(release) == Release(*parts)


def test_the_nearest_comes_first() -> None:
    """Flavour class, series, patch level; each layout once, under its nearest kernel's name."""
    releases = {
        "6.12.90+deb13-amd64": 0,
        "6.12.110+deb13-cloud-amd64": 1,
        "6.12.107+deb13-rt-amd64": 2,
        "6.1.0-50-amd64": 3,
        "6.16.3+deb13-amd64": 4,
        "6.12.43+deb13-amd64": 0,
    }
    listed = [(f"debian/13/x86_64/{release}", number) for release, number in releases.items()]
    found = order(HOST, listed)
    assert [number for number, _ in found] == [1, 0, 4, 3, 2]
    assert dict(found)[0].endswith("6.12.90+deb13-amd64")


def test_memory_is_read_in_blocks_that_exist() -> None:
    """A block beside one that is missing is read; what is no kernel address is not tried."""
    start = 0xFFFF_8880_0000_0000
    asked: list[int] = []

    def read(address: int, size: int) -> bytes | None:
        asked.append(address)
        return bytes(range(256)) * (size // 256) if address == start else None

    memory = Memory(read)
    assert memory.u32(start + 4) == 0x07060504
    assert memory.u32(start + 1) == 0x04030201
    assert memory.u64(start + 12) == 0x131211100F0E0D0C
    assert len(memory.some_words(start + 8, 100)) == 63
    for address in (start + 508, start + 512, 0x7FFF_0000_0000, 0, (1 << 64) - 8):
        with pytest.raises(Unreadable):
            memory.u64(address)
    assert asked == [start, start + 512]
    assert memory.reads == 2 + 3
