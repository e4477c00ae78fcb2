# SPDX-License-Identifier: Apache-2.0
"""The pid file under attack: between opening and locking it the former holder may remove it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from tetrapy.errors import AlreadyRunningError
from tetrapy.pidfile import PidFile


def test_removed_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes a file that its former holder removes at that moment holds the file that is there:
    a third is refused.
    """
    first = PidFile(str(tmp_path))
    real = fcntl.flock
    holders = [first]

    def flock(fd: int, how: int) -> None:
        if holders:
            holders.pop().remove()
        real(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    second = PidFile(str(tmp_path))
    assert (tmp_path / "tetrapy.pid").read_text(encoding="ascii") == str(os.getpid())
    with pytest.raises(AlreadyRunningError):
        PidFile(str(tmp_path))
    second.remove()
    assert list(tmp_path.iterdir()) == []
