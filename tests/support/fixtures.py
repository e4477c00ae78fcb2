# SPDX-License-Identifier: Apache-2.0
"""Fixtures that the kernel tests and those of the built file share; their conftest.py take them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.compile import installed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A directory that every user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="tetrapy-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture(scope="session")
def actor(place: Path) -> Path:
    """The program that does what its words say (tests/support/actor.c)."""
    return installed("actor", place)
