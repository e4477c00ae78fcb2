# SPDX-License-Identifier: Apache-2.0
"""The working directory: deep, mounted, bound, removed, below another root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.conftest import SMALL_PATH, Stage
from tests.support.compile import program

PATH_MAX = 4096
NAME_MAX = 255


def _shown(stage: Stage, cwd: str, *flags: str) -> None:
    """Every image of the stage but the first has this working directory and these flags too."""
    images = stage.execs()[1:]
    assert images, stage.events()
    for image in images:
        assert image.process.get("cwd", "") == cwd
        assert set(flags) == set(image.flags) - {"execve", "clone"}


@pytest.fixture
def deep(stage: Stage) -> Iterator[Path]:
    """A directory whose content, deeper than any path, is removed afterwards."""
    path = stage.directory / "d"
    path.mkdir()
    yield path
    # Deeper than Python's own removal can go.
    subprocess.run(["rm", "-rf", path], check=True)


def test_root(stage: Stage) -> None:
    """The root directory is told by a flag too."""
    stage.run("exec", stage.actor, stage.tag, "exit", 0, cwd="/")
    first, second, _ = stage.events()
    assert first.process["cwd"] == second.process["cwd"] == "/"
    assert first.flags == ["execve", "rootcwd", "clone"]
    assert second.flags == ["execve", "rootcwd"]


@pytest.mark.parametrize(
    ("count", "name"),
    [(10, "abcdefghi"), (100, "abcdefghi"), (500, "a"), (20, "n" * 200), (16, "x"), (17, "x")],
)
def test_deep(stage: Stage, deep: Path, count: int, name: str) -> None:
    """Deep directories come whole, be their names short or long."""
    stage.run("deeper", count, name, "exec", stage.actor, stage.tag, "exit", 0, cwd=deep)
    _shown(stage, f"{deep}" + f"/{name}" * count)


@pytest.mark.parametrize("size", [1000, 2000, 4000, PATH_MAX - 1])
def test_long(stage: Stage, deep: Path, size: int) -> None:
    """Directories of up to PATH_MAX come whole."""
    room = size - len(str(deep))
    count, rest = divmod(room, 101)
    if rest < 2:
        count, rest = count - 1, rest + 101
    words = ["deeper", count, "l" * 100, "deeper", 1, "r" * (rest - 1)]
    expected = str(deep) + ("/" + "l" * 100) * count + "/" + "r" * (rest - 1)
    assert len(expected) == size
    stage.run(*words, "exec", stage.actor, stage.tag, "exit", 0, cwd=deep)
    _shown(stage, expected)


def test_deepest(stage: Stage, deep: Path) -> None:
    """The most directories that a path of PATH_MAX can name."""
    count = (PATH_MAX - 1 - len(str(deep))) // 2
    stage.run("deeper", count, "z", "exec", stage.actor, stage.tag, "exit", 0, cwd=deep)
    if not stage.is_small:
        _shown(stage, str(deep) + "/z" * count)
        return
    (image,) = stage.execs()[1:]
    assert "errorPathResolutionCwd" in image.flags
    assert SMALL_PATH <= len(image.process["cwd"]) // 2 < count


def test_deepest_of_small_programs(stage: Stage, deep: Path) -> None:
    """All are shown that the log promises."""
    count = SMALL_PATH - str(deep).count("/")
    stage.run("deeper", count, "z", "exec", stage.actor, stage.tag, "exit", 0, cwd=deep)
    _shown(stage, str(deep) + "/z" * count)


@pytest.mark.parametrize(("count", "name"), [(50, "m" * 100), (3000, "m"), (20, "m" * 250)])
def test_beyond_path_max(stage: Stage, deep: Path, count: int, name: str) -> None:
    """Of a directory that no path can name the end is shown, with a flag."""
    stage.run("deeper", count, name, "exec", stage.actor, stage.tag, "exit", 0, cwd=deep)
    (image,) = stage.execs()[1:]
    assert "errorPathResolutionCwd" in image.flags
    whole = str(deep) + f"/{name}" * count
    cwd = image.process["cwd"]
    assert whole.endswith(cwd)
    assert cwd.startswith("/")
    least = PATH_MAX - 1 - len(name) - 1
    if stage.is_small:
        least = min(least, SMALL_PATH * (len(name) + 1))
    assert least <= len(cwd) <= PATH_MAX - 1


@pytest.mark.parametrize("length", [255, 256, 260, 600])
def test_a_name_that_only_fuse_can_make(stage: Stage, length: int) -> None:
    """Up to NAME_MAX it comes whole; what is longer is never told as another name, but is missing.

    So with the path of the file that is executed there.
    """
    if not os.path.exists("/dev/fuse"):
        pytest.skip("this kernel has no FUSE")
    at, source = stage.directory / "at", stage.directory / "from"
    for directory in (at, source):
        directory.mkdir()
    stage.copy("from/actor")
    words = [program("longname"), at, length, source, "actor", stage.tag, "exit", 0]
    done = stage.command("unshare", "--mount", "--propagation", "private", "--", *words)
    assert not done.returncode, done.stderr
    process = stage.execs()[-1].process
    file = process["binary_properties"]["file"]
    assert process["binary"] == f"{at}/home{'n' * (length - 4)}/actor"
    whole = length <= NAME_MAX
    assert process.get("cwd", "") == (f"{at}/home{'n' * (length - 4)}" if whole else "")
    assert ("errorPathResolutionCwd" in process["flags"]) == (not whole)
    assert file["path"] == (process["binary"] if whole else "/actor")
    assert process["executed_file"].get("partial", False) == (not whole)


def test_not_utf8(stage: Stage) -> None:
    """Bytes of a directory that are no UTF-8 are shown as U+FFFD."""
    directory = bytes(stage.directory) + b"/caf\xe9 x"
    os.mkdir(directory)
    stage.run("exec", stage.actor, stage.tag, "exit", 0, cwd=directory)
    _shown(stage, f"{stage.directory}/caf\ufffd x")


def test_removed(stage: Stage) -> None:
    """A directory that was removed is shown by the path that it had, and as removed."""
    gone = stage.directory / "gone"
    gone.mkdir()
    words = ("chdir", gone, "rmdir", gone, "exec", stage.actor, stage.tag, "exit", 0)
    stage.run(*words)
    _shown(stage, f"{gone} (deleted)")


def _in_mounts(stage: Stage, script: str) -> None:
    """Run shell in a mount namespace of its own; `$A` is the actor, `$T` the tag."""
    variables = {**os.environ, "A": stage.actor, "T": stage.tag, "D": str(stage.directory)}
    start = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-ec", script]
    done = stage.command(*start, env=variables)
    assert done.returncode == 0, done.stderr


def _cwd_of_last(stage: Stage) -> str:
    image = stage.execs()[-1]
    assert set(image.flags) <= {"execve", "clone"}, image
    return image.process["cwd"]


def test_on_a_mount(stage: Stage) -> None:
    """A directory in another file system is shown through its mount point."""
    _in_mounts(
        stage,
        "mkdir m; mount -t tmpfs tmpfs m; mkdir -p m/a/b; cd m/a/b; $A $T exit 0",
    )
    assert _cwd_of_last(stage) == f"{stage.directory}/m/a/b"


def test_at_the_root_of_a_mount(stage: Stage) -> None:
    """The root of a mounted file system is not the root directory."""
    _in_mounts(stage, "mkdir m; mount -t tmpfs tmpfs m; cd m; $A $T exit 0")
    assert _cwd_of_last(stage) == f"{stage.directory}/m"


def test_in_mounts_of_mounts(stage: Stage) -> None:
    """Mounts in mounts are followed to the top."""
    _in_mounts(
        stage,
        "mkdir m; cd m; for i in 1 2 3 4 5 6 7 8 9; do mount -t tmpfs tmpfs ../m; cd ../m; "
        "mkdir -p x/m; cd x/m; done; pwd >/dev/null; $A $T exit 0",
    )
    assert _cwd_of_last(stage).startswith(str(stage.directory) + "/m")


def test_below_a_bind_mount(stage: Stage) -> None:
    """A directory reached through a bind mount is shown where it was reached."""
    _in_mounts(
        stage,
        "mkdir -p from/a/b to; mount --bind from/a to; cd to/b; $A $T exit 0",
    )
    assert _cwd_of_last(stage) == f"{stage.directory}/to/b"


def test_in_another_root(stage: Stage) -> None:
    """After chroot paths begin at the new root, as the process sees them."""
    _in_mounts(
        stage,
        "mkdir root; mount --bind / root; $A $T chroot root chdir /usr/bin exec $A $T exit 0",
    )
    image = stage.execs()[-1]
    assert image.process["cwd"] == "/usr/bin"
    assert image.flags == ["execve"]


def test_at_another_root(stage: Stage) -> None:
    """The root of a chroot counts as the root directory."""
    _in_mounts(
        stage,
        "mkdir root; mount --bind / root; $A $T chroot root chdir / exec $A $T exit 0",
    )
    image = stage.execs()[-1]
    assert image.process["cwd"] == "/"
    assert image.flags == ["execve", "rootcwd"]


def test_outside_of_the_root(stage: Stage) -> None:
    """A directory that the process cannot name any more is shown as the host sees it."""
    _in_mounts(
        stage,
        "mkdir root; mount --bind / root; cp $A .; $A $T chroot root exec ./actor $T exit 0",
    )
    image = stage.execs()[-1]
    assert image.process["cwd"] == str(stage.directory)
    assert image.binary == f"{stage.directory}/actor"
