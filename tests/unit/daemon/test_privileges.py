# SPDX-License-Identifier: Apache-2.0
"""What an agent keeps: by sensor, by where it listens, by whose the export file is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tetrapy.config.sources import combine
from tetrapy.daemon.privileges import needed
from tetrapy.kernel import capabilities

FILES = {"CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER"}
ALL = (1 << 41) - 1


def settings(**given: object):
    return combine({name.replace("_", "-"): value for name, value in given.items()}, {})


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch):
    """Makes the process hold these capabilities."""

    def hold(effective: int) -> None:
        sets = capabilities.Sets(0, effective, effective)
        monkeypatch.setattr(capabilities, "held", lambda: sets)

    hold(ALL)
    return hold


def test_by_default_two_are_kept() -> None:
    """One to read the kernel's maps, one to see other users' processes."""
    assert set(needed(settings(), "ebpf")) == {"CAP_BPF", "CAP_SYS_PTRACE"}


def test_a_kernel_that_has_no_cap_bpf(held) -> None:
    """Linux 5.4 asks for CAP_SYS_ADMIN instead."""
    held((1 << 38) - 1)
    assert set(needed(settings(), "ebpf")) == {"CAP_SYS_ADMIN", "CAP_SYS_PTRACE"}


def test_the_connector_keeps_its_own() -> None:
    """It asks the kernel for no more messages when it stops."""
    assert set(needed(settings(), "connector")) == {"CAP_NET_ADMIN", "CAP_SYS_PTRACE"}


@pytest.mark.parametrize(
    ("address", "low"),
    [(":2112", False), ("localhost:112", True), ("[::1]:80", True), (":0", False)],
)
@pytest.mark.parametrize("name", ["metrics_server", "healthz_address"])
def test_a_low_port(name: str, address: str, low: bool) -> None:
    """Only such a port needs a capability."""
    kept = needed(settings(**{name: address}), "ebpf")
    assert ("CAP_NET_BIND_SERVICE" in kept) == low


@pytest.mark.parametrize("name", ["-", "/dev/null"])
def test_what_is_no_file(name: str) -> None:
    """It is not rotated."""
    assert not FILES & set(needed(settings(export_filename=name), "ebpf"))


def test_an_own_file_in_an_own_directory(tmp_path: Path) -> None:
    """Its owner may do all that rotation does."""
    path = tmp_path / "events.json"
    path.touch()
    os.chown(path, os.geteuid(), os.getegid())
    assert not FILES & set(needed(settings(export_filename=str(path)), "ebpf"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("whose", ["file", "group", "directory"])
def test_a_file_of_others(tmp_path: Path, whose: str) -> None:
    """To go on with it and to keep its owner takes the rights of root."""
    path = tmp_path / "events.json"
    path.touch()
    os.chown(path, 1000 if whose == "file" else 0, 1000 if whose == "group" else 0)
    os.chown(tmp_path, 1000 if whose == "directory" else 0, 0)
    assert set(needed(settings(export_filename=str(path)), "ebpf")) >= FILES


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """Nothing is known of it, so nothing is given up for it."""
    assert set(needed(settings(export_filename=str(tmp_path / "gone/x")), "ebpf")) >= FILES


@pytest.mark.parametrize(
    ("name", "capability"),
    [("directories", "CAP_DAC_READ_SEARCH"), ("sockets", "CAP_DAC_OVERRIDE")],
)
def test_a_users_own_containers(
    name: str, capability: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the operator names what is another user's, or will be made there, it can be read."""
    there: dict[str, object] = {f"container_{name}": (str(tmp_path / "not/yet"),)}
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid)
    assert capability not in needed(settings(**there), "ebpf")
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert capability in needed(settings(**there), "ebpf")
    there["enable_container_names"] = False
    assert capability not in needed(settings(**there), "ebpf")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(
    ("name", "capability"),
    [("directories", "CAP_DAC_READ_SEARCH"), ("sockets", "CAP_DAC_OVERRIDE")],
)
def test_a_users_own_containers_as_seen_from_a_container(
    name: str, capability: str, tmp_path: Path
) -> None:
    """What counts is whose the directory is on the machine, not what the agent's own root has."""
    place = tmp_path / "containers"
    there = tmp_path / "proc/1/root" / str(place)[1:]
    for one in (place, there):
        one.mkdir(parents=True)
    given = {"procfs": str(tmp_path / "proc"), f"container_{name}": (str(place),)}
    os.chown(place, 1000, 1000)
    assert capability not in needed(settings(**given), "ebpf")
    os.chown(place, 0, 0)
    os.chown(there, 1000, 1000)
    assert capability in needed(settings(**given), "ebpf")
