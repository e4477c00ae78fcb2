# SPDX-License-Identifier: Apache-2.0
"""The directory of policies, where nothing is loaded into a kernel; tests/kernel has the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from tetrapy.daemon.policies import Policies
from tetrapy.daemon.policy_directory import PolicyDirectory


class NoPolicies:
    """A list of policies that is empty."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.changes = 0  # how often others were told of a change

    def settled(self) -> None:
        """All that was asked for is done."""
        self.changes += 1


@pytest.mark.parametrize("exists", [True, False])
def test_without_policies_nobody_is_told_of_changes(tmp_path: Path, exists: bool) -> None:
    """The first look at an empty directory, or at none, writes no info file again."""
    place = tmp_path / "policies"
    if exists:
        place.mkdir()
    none = NoPolicies()
    directory = PolicyDirectory(str(place), cast(Policies, none), lambda *_, **__: None)
    for _ in directory.compare():
        pytest.fail("there is no policy")
    assert none.changes == 0
    directory.close()
