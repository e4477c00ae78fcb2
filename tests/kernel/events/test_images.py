# SPDX-License-Identifier: Apache-2.0
"""Where an image comes from: paths, scripts, memory files, descriptors."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernel.conftest import Stage


@pytest.mark.parametrize("path", ["./actor", "../up/actor", "deeper/../actor", ".//actor"])
def test_relative(stage: Stage, path: str) -> None:
    """A relative path is joined with the working directory, without following links."""
    up = stage.directory / "up"
    (up / "deeper").mkdir(parents=True)
    stage.copy("up/actor")
    stage.command(path, "exit", "0", cwd=up)
    started, _ = stage.one()
    assert started.binary == f"{up}/actor"
    assert started.process["cwd"] == str(up)


def test_absolute_is_kept(stage: Stage) -> None:
    """An absolute path is shown as it was given."""
    stage.copy()
    odd = f"{stage.directory}//./actor"
    stage.command(odd, "exit", "0")
    started, _ = stage.one()
    assert started.binary == odd


def test_symbolic_link(stage: Stage) -> None:
    """A symbolic link is shown, not what it leads to."""
    link = stage.directory / "link"
    link.symlink_to(stage.actor)
    stage.command(link, "x")
    started, _ = stage.one()
    assert started.binary == str(link)


def test_memory_file(stage: Stage) -> None:
    """An image in a memory file, run with fexecve, has the path of its descriptor."""
    stage.run("memfd", stage.actor, stage.tag, "exit", 4)
    first, image, ended = stage.events()
    assert image.kind == "exec"
    assert image.binary.startswith("/dev/fd/")
    assert image.binary.removeprefix("/dev/fd/").isdigit()
    assert image.arguments == f"{stage.tag} exit 4"
    assert image.parent == first.process
    assert ended.status == 4


def test_descriptor(stage: Stage) -> None:
    """fexecve of a file shows the path of the descriptor."""
    stage.run("fexec", stage.actor, stage.tag, "exit", 4)
    image = stage.execs()[1]
    assert image.binary.startswith("/dev/fd/")


def test_directory_descriptor(stage: Stage) -> None:
    """execveat with a directory shows the descriptor's path and the name."""
    stage.copy()
    stage.run("execat", stage.directory, "actor", stage.tag, "exit", 4)
    image = stage.execs()[1]
    assert image.binary.startswith("/dev/fd/")
    assert image.binary.endswith("/actor")


def test_script(stage: Stage) -> None:
    """A script is one image: its own path, and the arguments that the interpreter gets."""
    script = stage.directory / "script"
    script.write_text(f"#!{stage.actor} {stage.tag}\n")
    script.chmod(0o755)
    done = stage.command(script, "exit", "3")
    started, ended = stage.one()
    assert started.binary == str(script)
    # The kernel puts in front: the interpreter, its one argument, the script.
    assert started.arguments == f"{stage.tag} {script} exit 3"
    assert done.returncode == ended.status


def test_script_of_script(stage: Stage) -> None:
    """A script that runs in a script is shown by the path that was executed."""
    inner = stage.directory / "inner"
    inner.write_text(f"#!{stage.actor} {stage.tag}\n")
    inner.chmod(0o755)
    outer = stage.directory / "outer"
    outer.write_text(f"#!{inner} one\n")
    outer.chmod(0o755)
    stage.command("./outer", "exit", "0")
    started, _ = stage.one()
    assert started.binary == str(outer)


def test_failed_exec(stage: Stage) -> None:
    """An execve that fails makes no event."""
    stage.command(stage.actor, stage.tag, "exec", "/nowhere/to/be/found")
    started, ended = stage.one()
    assert started.id == ended.id
    assert ended.status == 99


@pytest.mark.parametrize("size", [200, 253, 255, 256, 300, 1000, 3000, 4000])
def test_long_path(stage: Stage, size: int) -> None:
    """A long path comes whole; Tetragon sends one of 255 bytes or more apart and says so."""
    directory = str(stage.directory)
    while len(directory) + 6 < size:
        part = min(200, size - len(directory) - 6 - 1)
        if part <= 0:
            break
        directory += "/" + "p" * part
    name = "n" * (size - len(directory) - 1)
    Path(directory).mkdir(parents=True, exist_ok=True)
    path = stage.copy(f"{directory}/{name}"[len(str(stage.directory)) + 1 :])
    assert len(path) == size
    stage.command(path, "exit")
    started, ended = stage.one()
    assert started.binary == path.decode()
    assert ended.process == started.process
    assert "errorFilename" not in started.flags
    assert ("dataFilename" in started.flags) == (size > 254)


def test_path_not_utf8(stage: Stage) -> None:
    """Bytes of a path that are no UTF-8 are shown as U+FFFD, a run of them as one."""
    path = stage.copy(b"caf\xe9\xe8-\xff")
    stage.command(path, "exit")
    started, _ = stage.one()
    assert started.binary == f"{stage.directory}/caf\ufffd-\ufffd"


def test_path_of_odd_characters(stage: Stage) -> None:
    """Blanks, quotes, line feeds and percent signs of a path come through."""
    path = stage.copy('a b"c\nd%s\\')
    stage.command(path, "exit")
    started, _ = stage.one()
    assert started.binary == path.decode()
