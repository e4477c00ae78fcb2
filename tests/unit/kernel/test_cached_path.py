# SPDX-License-Identifier: Apache-2.0
"""Files below another root directory, found without asking file systems."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tetrapy.kernel import cached_path
from tetrapy.kernel.cached_path import open_cached

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["by openat2", "where it is not known"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by openat2":
        return

    def refuse(*_: Any) -> int:
        raise OSError(cached_path.errno.ENOSYS, "openat2")

    monkeypatch.setattr(cached_path, "call", refuse)


@pytest.mark.usefixtures("_way")
def test_a_file_in_use(tmp_path: Path) -> None:
    """It is found by its path below the root, which a descriptor may lead to."""
    (tmp_path / "below").mkdir()
    with (tmp_path / "below/a file").open("w") as file:
        top = os.open(tmp_path.parent, os.O_PATH)
        found = open_cached(tmp_path.name.encode(), b"/below/a file", top)
        assert os.path.samestat(os.fstat(found), os.fstat(file.fileno()))
        os.close(found)
        os.close(top)


@pytest.mark.usefixtures("_way")
def test_what_is_not_there(tmp_path: Path) -> None:
    """Whether the kernel knows that or would have to ask; no descriptor is left."""
    before = os.listdir("/proc/self/fd")
    for root in (tmp_path, tmp_path / "gone"):
        with pytest.raises((FileNotFoundError, BlockingIOError)):
            open_cached(os.fsencode(root), b"/no/such/file")
    assert os.listdir("/proc/self/fd") == before
