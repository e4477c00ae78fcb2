# SPDX-License-Identifier: Apache-2.0
"""install.sh and uninstall.sh as root below a directory that somebody else has filled."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.unit.tools.release.install_host import Host
from tests.unit.tools.release.release_tree import release_around

pytestmark = pytest.mark.slow  # each installs

MANIFEST = "usr/local/lib/tetrapy/manifest"


@pytest.fixture(name="host")
def fixture_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    release_around(tmp_path, monkeypatch)
    return Host(tmp_path)


@pytest.fixture(name="outside")
def fixture_outside(tmp_path: Path) -> Path:
    """What must stay as it is: looks like a root directory in which tetrapy is installed."""
    for place in (
        "local/bin/tetrapy",
        "lib/systemd/system/tetrapy.service",
        "tetrapy/mine",
        MANIFEST,
    ):
        file = tmp_path / "outside" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    (tmp_path / "outside/tetrapy/tetrapy.conf.d").mkdir()
    (tmp_path / "outside/empty/tetrapy").mkdir(parents=True)
    return tmp_path / "outside"


def listed(directory: Path) -> dict[str, tuple[int, int, bytes | None]]:
    """Inode, mode and content of all there is."""
    return {
        str(path): (
            path.lstat().st_ino,
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(directory.rglob("*"))
    }


@pytest.mark.parametrize(
    "line",
    [
        "/usr/../../outside/tetrapy/mine",
        "/../outside/tetrapy/mine",
        "/usr/local/../../../outside/tetrapy/mine",
        "/usr/./local/bin/tetrapy",
        "/usr//local",
        "/usr/local/bin/*",
        "/usr/local/bin/a b",
        "/usr/local/bin/tetrapy/..",
        "/root/.ssh/authorized_keys",
        "/etc/passwd",
        "dir /usr/../../outside/empty/tetrapy",
        "dir /",
        "dir /root",
    ],
)
def test_a_manifest_of_somebody_else_names_nothing_but_ours(
    host: Host, outside: Path, line: str
) -> None:
    """It is refused as a whole, before anything is removed or installed."""
    host.install()
    with (host.root / MANIFEST).open("a") as manifest:
        manifest.write(line + "\n")
    before, ours = listed(outside), host.files()
    for code, said in (host.uninstall(), host.install()):
        assert code == 1
        assert f"manifest names {line.removeprefix('dir ')}, which" in said
        assert (listed(outside), host.files()) == (before, ours)


@pytest.mark.parametrize("away", [True, False])
@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("usr", ""),
        ("usr/local", "local"),
        ("usr/local/bin", "local/bin"),
        ("usr/local/lib/tetrapy", "usr/local/lib/tetrapy"),
        ("usr/lib/systemd/system", "lib/systemd/system"),
        ("etc", ""),
        ("etc", "empty"),
        ("etc/tetrapy", "tetrapy"),
        ("var/log", ""),
        ("var/lib", "empty"),
    ],
)
def test_links_do_not_lead_out_of_the_root(
    host: Host, outside: Path, place: str, target: str, away: bool
) -> None:
    """Neither installing nor removing changes anything there, whether the link is there before."""
    if away:
        host.install()
        moved = host.root / place
        if moved.exists():
            moved.rename(host.path / "moved")
    link = host.root / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside / target)
    before = listed(outside)
    host.install()
    assert listed(outside) == before
    host.uninstall()
    assert listed(outside) == before
    host.uninstall("--purge")
    assert listed(outside) == before


@pytest.mark.parametrize(
    "place",
    [MANIFEST, "usr/local/bin/tetrapy", "usr/lib/systemd/system/tetrapy.service"],
)
@pytest.mark.parametrize("suffix", ["", ".new"])
@pytest.mark.parametrize("target", ["local/bin/tetrapy", "nothing", "tetrapy"])
def test_a_link_in_place_of_a_file_is_not_written_through(
    host: Host, outside: Path, place: str, suffix: str, target: str
) -> None:
    """Nor in place of the file that is written first, nor is one to a directory moved into."""
    before = listed(outside)
    link = host.root / (place + suffix)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside / target)
    code, said = host.install()
    assert listed(outside) == before
    assert code == (0 if suffix else 1), said
    assert suffix or "is a link" in said
    host.uninstall()
    assert listed(outside) == before


@pytest.mark.slow
def test_a_hard_link_is_not_written_to(host: Host, outside: Path) -> None:
    """The other name of a file that is replaced or removed keeps its content."""
    host.install()
    other = outside / "other"
    os.link(host.root / "usr/local/bin/tetrapy", other)
    before = listed(outside)
    later = host.unpack("later")
    assert host.install(later)[0] == 0
    assert host.uninstall()[0] == 0
    assert {path: (found[0], found[2]) for path, found in listed(outside).items()} == {
        path: (found[0], found[2]) for path, found in before.items()
    }


@pytest.mark.slow
def test_a_link_that_stays_below_the_root_is_followed(host: Host) -> None:
    """As those of a merged /usr are."""
    (host.root / "data/local").mkdir(parents=True)
    (host.root / "usr").mkdir()
    (host.root / "usr/local").symlink_to("../data/local")
    before = host.files()
    assert host.install()[0] == 0
    assert (host.root / "data/local/bin/tetrapy").exists()
    assert host.uninstall()[0] == 0
    assert host.files() == before


def test_the_environment_names_no_other_programs_and_places(host: Host, outside: Path) -> None:
    """A PATH with somebody's programs in front, as with ".", and a CDPATH with his release."""
    programs = outside / "programs"
    programs.mkdir()
    ran = outside / "ran"
    names = "cat cmp cut dirname find grep head id install ln mkdir mv rm sed sha256sum sort tr"
    for name in names.split():
        (programs / name).write_text(f"#!/bin/sh\necho {name} >> {ran}\nexit 1\n")
        (programs / name).chmod(0o755)
    shutil.copytree(host.release, outside / "release")
    (outside / "release/SHA256SUMS").write_text("")
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "CDPATH": str(outside)}
    before = listed(outside)
    for script in ("install.sh", "uninstall.sh"):
        code, said = host.run(Path("release") / script, environment=environment)
        assert code == 0, said
        assert listed(outside) == before


@pytest.mark.parametrize("place", [".", "release", "release/usr/local/lib/tetrapy/tetrapy.pyz"])
def test_a_release_that_anybody_can_change_is_not_installed(host: Host, place: str) -> None:
    """Between the check of its sums and the copy files could be swapped."""
    (host.path / place).chmod((host.path / place).stat().st_mode | 0o002)
    code, said = host.install()
    assert code == 1
    assert "nobody" in said or "anybody" in said
    assert host.files() == {}


def test_a_release_below_tmp_is_installed(host: Host) -> None:
    """There anybody can write, and nobody can replace what is another's."""
    host.path.chmod(0o1777)
    assert host.install()[0] == 0
