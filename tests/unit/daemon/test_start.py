# SPDX-License-Identifier: Apache-2.0
"""What the start makes of settings and of the environment."""

from __future__ import annotations

import os

import pytest

from tetrapy.config.sources import read
from tetrapy.daemon.start import buffer_size, node_name
from tetrapy.sensors.options import BufferSize

PAGE = 4096


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"HUBBLE_NODE_NAME": "a", "NODE_NAME": "b"}, "a"),
        ({"NODE_NAME": "b"}, "b"),
        ({"HUBBLE_NODE_NAME": "", "NODE_NAME": "b"}, "b"),
    ],
)
def test_the_nodes_name(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], name: str
) -> None:
    """HUBBLE_NODE_NAME, else NODE_NAME; an empty one counts as unset."""
    for variable in ("HUBBLE_NODE_NAME", "NODE_NAME"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert node_name() == name


def test_the_nodes_name_is_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a variable it is what uname tells."""
    for variable in ("HUBBLE_NODE_NAME", "NODE_NAME"):
        monkeypatch.delenv(variable, raising=False)
    assert node_name() == os.uname().nodename


def test_a_nodes_name_that_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are not UTF-8 become U+FFFD, as everywhere in events."""
    monkeypatch.delenv("HUBBLE_NODE_NAME", raising=False)
    monkeypatch.setenv("NODE_NAME", "a\udcff\udcfeb")
    assert node_name() == "a\ufffdb"


@pytest.mark.parametrize(
    ("total", "cpus", "size"),
    [
        (4 << 20, 1, (4 << 20, 4 << 20)),
        (4 << 20, 4, (4 << 20, 1 << 20)),
        (4 << 20, 3, (4 << 20, 2 << 20)),
        (5 << 20, 2, (8 << 20, 4 << 20)),
        (1, 1, (PAGE, 16 * PAGE)),
        (PAGE + 1, 64, (2 * PAGE, 16 * PAGE)),
        (2 << 30, 2, (2 << 30, 1 << 30)),
    ],
)
def test_buffer_sizes(total: int, cpus: int, size: tuple[int, int]) -> None:
    """Powers of two, pages at least: of the one ring, and of each CPU's perf buffer."""
    assert BufferSize.of(total, cpus) == size


@pytest.mark.parametrize(
    ("arguments", "cpus", "total"),
    [
        ([], 1, 2 << 20),
        ([], 4, 4 << 20),
        ([], 64, 16 << 20),
        (["--rb-size=64K"], 4, 256 << 10),
        (["--rb-size-total=64K"], 4, 64 << 10),
    ],
)
def test_the_buffer_that_the_settings_ask_for(arguments: list[str], cpus: int, total: int) -> None:
    """By the CPU, over all CPUs, or 1 MiB a CPU within 2 to 16 MiB."""
    assert buffer_size(read(arguments, {}), cpus).total == total
