# SPDX-License-Identifier: Apache-2.0
"""The directory of policies, where nothing is loaded into a kernel; tests/kernel has the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tetrapy.daemon import policy_directory as module
from tetrapy.daemon.policies import Policies
from tetrapy.daemon.policy_directory import PolicyDirectory


class NoPolicies:
    """A list of policies that is empty."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.changes = 0  # how often others were told of a change
        self.renewed: list[str] = []

    def renew(self, path: str, former: list[Any]) -> None:
        """A file is new, or has changed."""
        assert former == []
        self.renewed.append(Path(path).read_text())

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


@pytest.fixture(name="policies")
def fixture_policies() -> NoPolicies:
    return NoPolicies()


@pytest.fixture(name="directory")
def fixture_directory(tmp_path: Path, policies: NoPolicies) -> Iterator[PolicyDirectory]:
    """That of a test; what it logs is dropped."""
    found = PolicyDirectory(str(tmp_path), cast(Policies, policies), lambda *_, **__: None)
    yield found
    found.close()


def looked(directory: PolicyDirectory) -> PolicyDirectory:
    """It compares the files with what it knows."""
    for _ in directory.compare():
        pass
    return directory


def test_a_file_that_is_written_to_is_not_whole(
    tmp_path: Path, directory: PolicyDirectory, policies: NoPolicies
) -> None:
    """It is loaded when whoever writes has closed it; so is one that is changed in place."""
    path = tmp_path / "slow.yaml"
    for half, whole in (("a", "ab"), ("c", "cd")):
        with path.open("w") as file:
            file.write(half)
            file.flush()
            looked(directory)
            assert directory.waits
            assert half not in policies.renewed
            file.write(whole[1:])
        looked(directory)
        assert policies.renewed[-1] == whole
    assert policies.renewed == ["ab", "cd"]


def test_one_that_is_never_closed(
    tmp_path: Path,
    directory: PolicyDirectory,
    policies: NoPolicies,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is taken as it is after a while; another one is not kept from it meanwhile."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    (tmp_path / "other.yaml").write_text("other")
    with (tmp_path / "slow.yaml").open("w") as file:
        file.write("half")
        file.flush()
        looked(directory)
        assert policies.renewed == ["other"]
        now[0] += 9.0
        looked(directory)
        assert policies.renewed == ["other"]
        now[0] += 2.0
        looked(directory)
        assert policies.renewed == ["other", "half"]


@pytest.mark.parametrize("name", ["p.yaml~", "p.yaml.dpkg-old", "p.yaml.rpmsave", "#p.yaml#"])
def test_what_editors_and_package_managers_leave(
    tmp_path: Path, directory: PolicyDirectory, policies: NoPolicies, name: str
) -> None:
    """It is no policy: an old version would come back when the file itself is taken away."""
    for one in (name, "p.anything"):
        (tmp_path / one).write_text(one)
    looked(directory)
    assert policies.renewed == ["p.anything"]
