# SPDX-License-Identifier: Apache-2.0
"""Files that somebody else left where the agent writes: none is followed, trusted or harmed.

Each test is of an agent that runs as root, and of things that user 65534 (or any user) could have
made in a place where others may write. The target of every link is a file of root's that has to
stay as it is.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from tests.pyz.conftest import SYSTEM_CALLS, needs_root
from tests.support.agent import Agent, until
from tests.support.sink_tools import backups

pytestmark = needs_root

NOBODY = 65534
PRECIOUS = b"precious\n"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file of root's that nobody may harm."""
    path = tmp_path / "target"
    path.write_bytes(PRECIOUS)
    path.chmod(0o600)
    return path


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """A directory like /tmp."""
    directory = tmp_path / "public"
    directory.mkdir()
    directory.chmod(0o1777)
    return directory


def is_unharmed(target: Path) -> bool:
    found = target.stat()
    return target.read_bytes() == PRECIOUS and stat.S_IMODE(found.st_mode) == 0o600


def make(kind: str, path: Path, target: Path) -> None:
    """What another user left at a path."""
    if kind == "link":
        path.symlink_to(target)
    elif kind == "dangling link":
        path.symlink_to(target.with_name("made-by-the-agent"))
    elif kind == "hard link":
        path.hardlink_to(target)
        return  # still root's
    elif kind == "FIFO":
        os.mkfifo(path, 0o666)
    elif kind == "file":
        path.write_bytes(b"planted\n")
        path.chmod(0o666)
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


KINDS = ("link", "dangling link", "hard link", "FIFO", "file")


def refused(agent: Agent) -> str:
    """It does not start; its last words."""
    assert agent.wait() == 255
    words = agent.log + agent.errors
    assert "Traceback" not in words
    return words


# --- export and log files in a public directory ---------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_file(tmp_path: Path, public: Path, target: Path, kind: str) -> None:
    """It is not opened: what another user made could be any file, or be read by others."""
    make(kind, public / "events.json", target)
    before = os.lstat(public / "events.json")
    with Agent(tmp_path / "agent", export=public / "events.json") as agent:
        assert f"export target {public}/events.json" in refused(agent)
    assert is_unharmed(target)
    assert not target.with_name("made-by-the-agent").exists()
    assert os.lstat(public / "events.json").st_mode == before.st_mode
    assert os.lstat(public / "events.json").st_size == before.st_size


def test_a_directory_of_links(tmp_path: Path, public: Path, target: Path) -> None:
    """A link on the way to the file is as bad as one in its place."""
    make("link", public / "logs", target.parent)
    with Agent(tmp_path / "agent", export=public / "logs/events.json") as agent:
        assert "is a symbolic link" in refused(agent)
    assert not (target.parent / "events.json").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_file(tmp_path: Path, public: Path, target: Path, kind: str) -> None:
    """As an export file; and nothing is emptied before it is known whose it is."""
    make(kind, public / "log", target)
    before = os.lstat(public / "log")
    with Agent(tmp_path / "agent", f"--log-file={public}/log") as agent:
        assert agent.wait() != 0
        assert f"{public}/log" in agent.log + agent.errors
        assert "Traceback" not in agent.log + agent.errors
    assert is_unharmed(target)
    assert not target.with_name("made-by-the-agent").exists()
    assert os.lstat(public / "log").st_size == before.st_size


# --- rotated files --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz", ".gz.tmp"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "FIFO"])
def test_a_rotated_name(tmp_path: Path, public: Path, target: Path, kind: str, suffix: str) -> None:
    """What bears the name of a rotated file and is none is neither read nor followed."""
    planted = public / f"events-2020-01-01T00-00-00.000.json{suffix}"
    make(kind, planted, target)
    flags = (
        "--export-file-rotation-interval=1s",
        "--export-file-compress",
        "--export-file-max-backups=1",
    )
    export = public / "events.json"
    with Agent(tmp_path / "agent", *flags, export=export) as agent:
        agent.started()

        def rotated_twice() -> bool:
            subprocess.run(["/bin/true"], check=True)
            return agent.log.count("Rotating JSON logs export") >= 3

        until(rotated_twice, "three rotations")
        until(lambda: any(p.suffix == ".gz" for p in backups(export) if p != planted), "a .gz")
        assert agent.stop() == 0
    assert is_unharmed(target)
    assert not target.with_name("made-by-the-agent").exists()
    ours = [path for path in backups(export) if path != planted]
    assert all(path.is_file() and not path.is_symlink() for path in ours)
    assert all(path.stat().st_uid == 0 for path in ours)


# --- run directory --------------------------------------------------------------------------------


def planted_run(kind: str, name: str, target: Path) -> str:
    """Shell for the agent's own /run: a directory of another user's with something in it.

    The target is moved to where a hard link can lead to it.
    """
    path = f"/run/tetrapy/{name}"
    commands = {
        "link": f"ln -s {shlex.quote(str(target))} {path}",
        "hard link": f"cp -p {shlex.quote(str(target))} /run/target; ln /run/target {path}",
        "FIFO": f"mkfifo {path}",
        "file": f"echo 1 > {path}; chmod 666 {path}",
    }
    words = "mkdir -m 777 /run/tetrapy; " + commands[kind]
    whose = "" if kind == "hard link" else f"chown -h {NOBODY}:{NOBODY} {path}; "
    return f"{words}; {whose}chown {NOBODY}:{NOBODY} /run/tetrapy"


@pytest.mark.parametrize("kind", ["link", "hard link", "FIFO", "file"])
def test_a_run_directory_of_another_user(tmp_path: Path, target: Path, kind: str) -> None:
    """It is not used: whoever owns it can put anything into the place of what is written there."""
    prepare = planted_run(kind, "tetrapy.pid", target)
    # What became of the target in the agent's own /run is seen through its root.
    with Agent(tmp_path / "agent", prepare=prepare) as agent:
        words = refused(agent)
    assert "/run/tetrapy" in words
    assert is_unharmed(target)


def test_a_run_directory_that_is_a_link(tmp_path: Path) -> None:
    """The pid file would be made where another user wants it."""
    (tmp_path / "elsewhere").mkdir()
    prepare = f"chmod 1777 /run; ln -s {shlex.quote(str(tmp_path))}/elsewhere /run/tetrapy"
    prepare += f"; chown -h {NOBODY}:{NOBODY} /run/tetrapy"
    with Agent(tmp_path / "agent", prepare=prepare) as agent:
        assert "/run/tetrapy" in refused(agent)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "FIFO", "file"])
def test_an_info_file_that_is_there(tmp_path: Path, target: Path, kind: str) -> None:
    """In root's own directory it is replaced, never opened; its other name too."""
    info = "/run/tetrapy/tetrapy-info.json"
    plant = {
        "link": f"ln -s {shlex.quote(str(target))}",
        "FIFO": "mkfifo",
        "file": "cp /dev/null",
    }[kind]
    # unshare and the shell become the agent, so its pid is the shell's.
    prepare = f"mkdir -m 755 /run/tetrapy; {plant} {info}; {plant} {info}.$$"
    with Agent(tmp_path / "agent", prepare=prepare) as agent:
        agent.started()
        found = Path(f"/proc/{agent.pid}/root{info}")
        assert stat.S_ISREG(os.lstat(found).st_mode)
        assert json.loads(found.read_bytes())["pid"] == agent.pid
        assert not os.path.lexists(f"{found}.{agent.pid}")
        assert agent.stop() == 0
    assert is_unharmed(target)


@pytest.mark.parametrize("planted", ["link", "others", "open"])
def test_the_directory_of_native_code(
    tmp_path: Path, deny: Path, target: Path, planted: str
) -> None:
    """Where memfds are forbidden, native code is loaded from root's own closed directory only."""
    (tmp_path / "elsewhere").mkdir()
    place = "/run/tetrapy/native"
    prepare = {
        "link": f"ln -s {shlex.quote(str(tmp_path))}/elsewhere {place}",
        "others": f"mkdir -m 700 {place}; chown {NOBODY} {place}",
        "open": f"mkdir -m 777 {place}",
    }[planted]
    under = (str(deny), str(errno.EPERM), str(SYSTEM_CALLS["memfd_create"]), "--")
    prepare = f"mkdir -m 755 /run/tetrapy; {prepare}"
    with Agent(tmp_path / "agent", "--sensor=ebpf", prepare=prepare, under=under) as agent:
        assert place in refused(agent)
    assert list((tmp_path / "elsewhere").iterdir()) == []


# --- modes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", ["000", "022", "077"])
def test_modes_of_all_that_is_made(tmp_path: Path, umask: str) -> None:
    """Whatever the umask: nobody else can write to anything, nor read events."""
    export = tmp_path / "new/logs/events.json"
    flags = (
        "--export-file-rotation-interval=1s",
        "--export-file-compress",
        f"--log-file={tmp_path}/log-file",
    )
    prepare = f"umask {umask}"
    with Agent(tmp_path / "agent", *flags, prepare=prepare, export=export) as agent:
        agent.started()

        def compressed() -> bool:
            subprocess.run(["/bin/true"], check=True)
            return any(path.suffix == ".gz" for path in backups(export))

        until(compressed, "a compressed file")
        run = Path(f"/proc/{agent.pid}/root/run/tetrapy")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in run.iterdir()}
        directories = [run, export.parent, export.parent.parent]
        open_to = [stat.S_IMODE(path.stat().st_mode) for path in directories]
        assert agent.stop() == 0
    allowed = 0o777 & ~int(umask, 8)
    assert modes == {
        "tetrapy.pid": 0o644 & allowed,
        "tetrapy-info.json": 0o644 & allowed,
        "tetrapy.sock": 0o660,
    }
    assert open_to == [0o755 & allowed] * 3
    files = [export, *backups(export), tmp_path / "log-file"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
