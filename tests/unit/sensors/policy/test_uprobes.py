# SPDX-License-Identifier: Apache-2.0
"""Programs that a policy hooks, whose owners choose what is in them."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.compile import program
from tests.support.policies import spec
from tetrapy.abi.executable import Executable
from tetrapy.policy.read import read_policy
from tetrapy.policy.registers import Assignment
from tetrapy.sensors.policy import uprobes
from tetrapy.sensors.policy.plan import PlaceError, Plan

MACHINE: Any = SimpleNamespace(machine="x86_64", spec=SimpleNamespace(selectors_macros={}))


def test_a_file_with_holes_is_not_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have any size, and takes no room on the disk: its digest would take hours."""
    monkeypatch.setattr(uprobes, "expect_uprobes", lambda: None)
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF")
    os.truncate(path, 1 << 42)
    digests = (f"sha256:{'0' * 64}",)
    hook: Any = SimpleNamespace(path=str(path), binary_digests=digests, ignore=None, selectors=())
    with pytest.raises(PlaceError, match="the file has more than 2147483648 bytes"):
        uprobes.plan(hook, MACHINE)


def changed(monkeypatch: pytest.MonkeyPatch, action: str, symbols: str = "asked") -> Plan:
    """The plan for functions of overridden.c whose one selector has the Override, on x86_64."""
    monkeypatch.setattr(uprobes, "expect_uprobes", lambda: None)
    monkeypatch.setattr(uprobes, "expect_changes", lambda returns: None)
    path = program("overridden", "x86_64")
    override = f"{{matchActions: [{{action: Override, {action}}}]}}"
    text = spec(f"  uprobes: [{{path: {path}, symbols: [{symbols}], selectors: [{override}]}}]")
    return uprobes.plan(read_policy(text).policy.spec.uprobes[0], MACHINE)


def test_what_is_called_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is so far from each of the functions, by its symbol, address and offset in the file."""
    file = Executable(program("overridden", "x86_64").read_bytes())
    offset = file.offset_of_symbol("answered")
    address = file.address_of_offset(offset)
    names = ("asked", "asked_again")
    rows = []
    for name in names:
        distance = address - file.address_of_offset(file.offset_of_symbol(name))
        rows.append(((Assignment("rip", distance, "rip"),),))
    assert rows[0] != rows[1]
    for action in ("argNewSymbol: answered", f"argNewAddr: {address}", f"argNewOffset: {offset}"):
        plan = changed(monkeypatch, action, ", ".join(names))
        assert [site.place.assignments for site in plan.sites] == rows


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("argNewSymbol: nobody", "there is no symbol nobody"),
        ("argNewAddr: 0x7fffffffffff", "address 0x7fffffffffff is in no segment"),
        ("argNewOffset: -1", "offset -0x1 is in no segment"),
    ],
)
def test_nothing_to_call(monkeypatch: pytest.MonkeyPatch, action: str, message: str) -> None:
    """The file is named, and what it does not have."""
    with pytest.raises(PlaceError, match=message):
        changed(monkeypatch, action)
