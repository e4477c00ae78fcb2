# SPDX-License-Identifier: Apache-2.0
"""What earlier agents left, found and removed. These are directories and links as elsewhere."""

from __future__ import annotations

from pathlib import Path

from tetrapy.sensors.policy.pins import Pins


def left(base: Path, name: str, *, file: str = "/p/a.yaml", policy: str = "static//a") -> Path:
    """What a complete policy looks like."""
    directory = base / name
    directory.mkdir(parents=True)
    (directory / "link-0").touch()
    (directory / "file").symlink_to(file)
    (directory / "policy").symlink_to(policy)
    return directory


def test_what_is_complete_is_found(tmp_path: Path) -> None:
    """Of all earlier runs, with where it came from and its name."""
    first = left(tmp_path, "run-1/policy-3")
    tenth = left(tmp_path, "run-10/policy-1", file="/p/b.yaml", policy="grpc/ns/b")
    found = {Path(one.directory): (one.file, one.policy) for one in Pins(str(tmp_path)).earlier()}
    assert found == {first: ("/p/a.yaml", "static//a"), tenth: ("/p/b.yaml", "grpc/ns/b")}


def test_all_else_is_removed(tmp_path: Path) -> None:
    """What was not complete, and what another version may have made."""
    left(tmp_path, "run-1/new-3")
    kept = left(tmp_path, "run-2/policy-1")
    (left(tmp_path, "run-2/policy-2") / "policy").unlink()
    left(tmp_path, "later/form/of/it")
    assert [one.directory for one in Pins(str(tmp_path)).earlier()] == [str(kept)]
    assert {path.name for path in tmp_path.rglob("*") if path.is_dir()} == {"run-2", "policy-1"}


def test_the_last_one_takes_the_directories(tmp_path: Path) -> None:
    """A directory of the agent is there only while something is."""
    base = tmp_path / "tetrapy"
    left(base, "run-1/policy-1")
    left(base, "run-1/policy-2")
    pins = Pins(str(base))
    for one in pins.earlier():
        assert base.exists()
        pins.forget(one.directory)
    assert not base.exists()


def test_nothing_is_there(tmp_path: Path) -> None:
    """As on most machines; nothing is made, either."""
    assert Pins(str(tmp_path / "tetrapy")).earlier() == []
    assert not list(tmp_path.iterdir())
