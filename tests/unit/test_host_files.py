# SPDX-License-Identifier: Apache-2.0
"""Files of the machine by paths that hold for its first process, whose root may be another one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tetrapy.host_files import host_path, host_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root of the machine, as a procfs of files shows it."""
    root = tmp_path / "proc/1/root"
    (root / "run/docker").mkdir(parents=True)
    (root / "var").mkdir()
    return root


def test_the_root_of_the_first_process(root: Path) -> None:
    """Below the procfs that is named, where there is one."""
    procfs = root.parents[1]
    assert host_root(f"{procfs}/") == host_root(str(procfs)) == str(root)
    assert host_root("") == ""
    assert host_root(str(procfs / "none")) == ""


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("var/run", "/run"),
        ("var/run", "../run"),
        ("var/run", "../../../../run"),
        ("var/run", "/var/../run/."),
    ],
)
def test_links_lead_below_the_root(root: Path, link: str, target: str) -> None:
    """With a slash or without, and never above it."""
    (root / link).symlink_to(target)
    assert host_path(str(root), "/var/run/docker") == f"{root}/run/docker"
    assert host_path(str(root), "/var/run/docker/not/yet") == f"{root}/run/docker/not/yet"


def test_links_to_links(root: Path) -> None:
    """Followed to their end; a circle has none."""
    (root / "a").symlink_to("/b/c")
    (root / "b").symlink_to("run")
    (root / "run/c").symlink_to("/var")
    assert host_path(str(root), "//a/./x/") == f"{root}/var/x"
    (root / "d").symlink_to("/e")
    (root / "e").symlink_to("/d")
    with pytest.raises(OSError, match="d") as caught:
        host_path(str(root), "/d/x")
    assert caught.value.errno == errno.ELOOP


def test_a_path_of_this_process(root: Path) -> None:
    """Without a root nothing is followed, since the kernel does."""
    assert host_path("", "/var/run/docker") == "/var/run/docker"


def test_links_of_procfs() -> None:
    """They say `/` of whatever root a process has, and are left to the kernel."""
    path = f"/proc/{os.getpid()}/cwd/x"
    assert host_path("/.", path) == f"/.{path}"
