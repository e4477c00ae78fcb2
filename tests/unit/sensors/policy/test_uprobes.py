# SPDX-License-Identifier: Apache-2.0
"""Programs that a policy hooks, whose owners choose what is in them."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tetrapy.sensors.policy import uprobes
from tetrapy.sensors.policy.plan import PlaceError


def test_a_file_with_holes_is_not_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have any size, and takes no room on the disk: its digest would take hours."""
    monkeypatch.setattr(uprobes, "expect_uprobes", lambda: None)
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF")
    os.truncate(path, 1 << 42)
    digests = (f"sha256:{'0' * 64}",)
    hook: Any = SimpleNamespace(path=str(path), binary_digests=digests, ignore=None, selectors=())
    machine: Any = SimpleNamespace(machine="x86_64", spec=SimpleNamespace(selectors_macros={}))
    with pytest.raises(PlaceError, match="the file has more than 2147483648 bytes"):
        uprobes.plan(hook, machine)
