# SPDX-License-Identifier: Apache-2.0
"""What export-filename may name: new files, old ones, links, and what is refused."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sink_tools import Recorder, silent, sink_at
from tetrapy.errors import ExportError, SettingsError
from tetrapy.sinks import open as module
from tetrapy.sinks import place
from tetrapy.sinks.file import FileSink
from tetrapy.sinks.open import descriptor_of, open_file, open_sink
from tetrapy.sinks.rules import FileRules
from tetrapy.sinks.stream import LineSink


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def settings(**values: Any) -> SimpleNamespace:
    usual = {
        "export_filename": "",
        "export_file_perm": 0o600,
        "export_file_max_size_mb": 10,
        "export_file_rotation_interval": 0,
        "export_file_max_backups": 5,
        "export_file_max_age": 0,
        "export_file_compress": False,
    }
    return SimpleNamespace(**{**usual, **values})


def test_settings(tmp_path: Path) -> None:
    """Each setting has its rule."""
    name = str(tmp_path / "x.log")
    chosen = settings(
        export_filename=name,
        export_file_perm=0o640,
        export_file_max_size_mb=3,
        export_file_rotation_interval=5,
        export_file_max_backups=7,
        export_file_max_age=9,
        export_file_compress=True,
    )
    sink = open_sink(chosen, silent)
    assert isinstance(sink, FileSink)
    assert sink.rotation.rules == FileRules(0o640, 3 << 20, 5, 7, 9, compress=True)
    assert sink.name == name
    sink.close(silent)


@given(st.integers(0, 0o7777))
def test_permissions(mode: int) -> None:
    """The owner can always read and write; nobody gets x, and nobody else may write."""
    got = FileRules.of(settings(export_file_perm=mode)).mode
    assert got & 0o600 == 0o600
    assert got & 0o113 == 0
    assert got & 0o064 == mode & 0o064
    assert got <= 0o664


def test_size_zero() -> None:
    """It is 100 MB, as for Tetragon."""
    assert FileRules.of(settings(export_file_max_size_mb=0)).max_size == 100 << 20


@pytest.mark.parametrize("name", ["rotation_interval", "max_backups", "max_age", "max_size_mb"])
def test_negative(name: str) -> None:
    """No rule is negative."""
    with pytest.raises(SettingsError, match="negative"):
        FileRules.of(settings(**{f"export_file_{name}": -1}))


def test_nowhere_and_standard_output() -> None:
    """No name is /dev/null, and - is standard output."""
    nowhere = open_sink(settings(), silent)
    nowhere.write(b"x\n")
    nowhere.close(silent)
    assert nowhere.name == "/dev/null"
    assert open_sink(settings(export_filename="-"), silent).name == "standard output"


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int) -> None:
    """It has its mode, whatever the umask, before the first byte; and none that is wider before."""
    seen = []
    real = os.fchmod

    def fchmod(fd: int, mode: int) -> None:
        seen.append((stat.S_IMODE(os.fstat(fd).st_mode), os.fstat(fd).st_size))
        real(fd, mode)

    monkeypatch.setattr(place.os, "fchmod", fchmod)
    former = os.umask(umask)
    try:
        sink = sink_at(tmp_path / "x.json", mode=0o644)
    finally:
        os.umask(former)
    assert seen == [(0o600, 0)]
    assert mode_of(tmp_path / "x.json") == 0o644
    sink.write(b"one\n")
    sink.write(b"two\nthree\n")
    assert (tmp_path / "x.json").read_bytes() == b"one\ntwo\nthree\n"
    sink.close(silent)


def test_a_file_that_is_there(tmp_path: Path) -> None:
    """Lines are added to its end, its mode is left alone, and other writers' lines stay."""
    path = tmp_path / "x.json"
    path.write_bytes(b"before\n")
    path.chmod(0o640)
    log = Recorder()
    sink = sink_at(path, log)
    sink.write(b"mine\n")
    with path.open("ab") as other:
        other.write(b"theirs\n")
    sink.write(b"mine again\n")
    sink.close(silent)
    assert path.read_bytes() == b"before\nmine\ntheirs\nmine again\n"
    assert mode_of(path) == 0o640
    ((level, message, keys),) = log.lines
    assert (level, message) == (
        "warn",
        "Export file can be used by more users than export-file-perm says",
    )
    assert keys == {"file": str(path), "mode": "640", "hint": f"chmod 600 {path}"}


def test_directories(tmp_path: Path) -> None:
    """Each one that is missing is made, and nobody else may write there."""
    former = os.umask(0)
    try:
        sink_at(tmp_path / "a/b/c/x.json").close(silent)
    finally:
        os.umask(former)
    assert [mode_of(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o755] * 3


def test_a_name_without_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name is in the working directory."""
    monkeypatch.chdir(tmp_path)
    sink_at(Path("x.json")).close(silent)
    assert (tmp_path / "x.json").exists()


def test_a_directory(tmp_path: Path) -> None:
    """A directory is refused, and the message says what to name."""
    with pytest.raises(
        ExportError, match=rf"{tmp_path} is a directory; name a file in it.*tetrapy"
    ):
        open_file(str(tmp_path), FileRules(), silent)


def test_below_a_file(tmp_path: Path) -> None:
    """The message names the part of the path that is no directory."""
    (tmp_path / "file").touch()
    for path in ("file/x.json", "file/a/b/x.json"):
        with pytest.raises(ExportError, match=f"{tmp_path}/file.* not a directory"):
            open_file(str(tmp_path / path), FileRules(), silent)


def test_a_socket(tmp_path: Path) -> None:
    """Nothing can be written to it by its name."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(ExportError, match="socket"):
            open_file(str(tmp_path / "socket"), FileRules(), silent)


def test_a_descriptor(tmp_path: Path) -> None:
    """/dev/stdout and the like are written to as they are; a file behind one does not rotate."""
    with (tmp_path / "x").open("wb") as file:
        os.set_inheritable(file.fileno(), True)  # as what an agent is started with
        name = f"/dev/fd/{file.fileno()}"
        sink = open_sink(settings(export_filename=name, export_file_max_size_mb=1), silent)
        assert isinstance(sink, LineSink)
        sink.write(b"one\n")
        sink.write(b"two\n")
        sink.close(silent)
    assert (tmp_path / "x").read_bytes() == b"one\ntwo\n"


def test_names_of_descriptors(tmp_path: Path) -> None:
    """Every name of one of our own descriptors is known as one, a link to it too, and no other."""
    (tmp_path / "link").symlink_to("/dev/stderr")
    (tmp_path / "again").symlink_to("link")
    (tmp_path / "7").touch()
    own = f"/proc/{os.getpid()}"
    names = {
        "-": 1,
        "/dev/stdout": 1,
        "/dev/./stdout": 1,
        "/dev/../dev/stderr": 2,
        "/dev/fd/1": 1,
        "/proc/self/fd/2": 2,
        "/proc/thread-self/fd/1": 1,
        f"{own}/fd/1": 1,
        f"{own}/task/{os.getpid()}/fd/2": 2,
        "/dev/fd/998": 998,
        str(tmp_path / "again"): 2,
        f"/proc/{os.getppid()}/fd/1": None,
        str(tmp_path / "7"): None,
        "1": None,
        "/dev/null": None,
        "": None,
    }
    assert {name: descriptor_of(name) for name in names} == names


def test_descriptors_that_cannot_be_written(tmp_path: Path) -> None:
    """Those that nobody gave us, our own ones, and those that are open for reading only."""
    with (tmp_path / "x").open("wb") as ours, (tmp_path / "x").open("rb") as readable:
        os.set_inheritable(readable.fileno(), True)
        for number in (ours.fileno(), 4000, 10**30):
            with pytest.raises(ExportError, match=f"descriptor {number} is closed"):
                open_sink(settings(export_filename=f"/dev/fd/{number}"), silent)
        with pytest.raises(ExportError, match="reading only"):
            open_sink(settings(export_filename=f"/dev/fd/{readable.fileno()}"), silent)


# --- links -----------------------------------------------------------------------------------


def test_a_link_of_ours(tmp_path: Path) -> None:
    """It is followed; the file is rotated where it lies, and the link stays."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "x.log").symlink_to("disk/y.log")
    sink = sink_at(tmp_path / "x.log", max_size=4)
    sink.write(b"one\n")
    sink.write(b"two\n")
    sink.close(silent)
    assert (tmp_path / "x.log").is_symlink()
    assert (tmp_path / "x.log").read_bytes() == b"two\n"
    assert len(list((tmp_path / "disk").iterdir())) == 2


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_link_where_others_may_write(tmp_path: Path, mode: int) -> None:
    """It is refused, wherever in the path; nothing is made where it leads to."""
    (tmp_path / "public").mkdir()
    (tmp_path / "public/x.log").symlink_to(tmp_path / "target")
    (tmp_path / "public/directory").symlink_to(tmp_path)
    (tmp_path / "public").chmod(mode)
    for name in ("x.log", "directory/y.log"):
        with pytest.raises(ExportError, match=f"public/{name[:5]}.* is a symbolic link .* root"):
            open_file(str(tmp_path / "public" / name), FileRules(), silent)
    assert [entry.name for entry in tmp_path.iterdir()] == ["public"]


def test_a_link_of_ours_in_a_sticky_directory(tmp_path: Path) -> None:
    """Nobody else can have replaced it, so it is followed."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp/x.log").symlink_to(tmp_path / "y.log")
    (tmp_path / "tmp").chmod(0o1777)
    sink_at(tmp_path / "tmp/x.log").close(silent)
    assert (tmp_path / "y.log").exists()


def test_a_loop_of_links(tmp_path: Path) -> None:
    """It is reported as what it is."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ExportError, match="symbolic links"):
        open_file(str(tmp_path / "a"), FileRules(), silent)


def test_a_hard_link_where_others_may_write(tmp_path: Path) -> None:
    """Somebody could have linked a file of the system there; it is refused and not written to."""
    (tmp_path / "passwd").write_bytes(b"root\n")
    public = tmp_path / "public"
    public.mkdir()
    (public / "x.log").hardlink_to(tmp_path / "passwd")
    sink_at(public / "x.log", Recorder()).close(silent)  # only we can have done it
    public.chmod(0o1777)
    with pytest.raises(ExportError, match="hard link"):
        open_file(str(public / "x.log"), FileRules(), silent)
    assert (tmp_path / "passwd").read_bytes() == b"root\n"


def test_a_place_that_changes_under_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link, or a FIFO, that comes into its place after the look is not opened."""
    path = tmp_path / "x.log"
    (tmp_path / "target").touch()
    path.symlink_to(tmp_path / "target")
    monkeypatch.setattr(place.os, "lstat", os.stat)  # the look takes it for what it leads to
    with pytest.raises(ExportError, match="cannot be written"):
        sink_at(path)
    monkeypatch.undo()
    path.unlink()
    path.touch()
    os.mkfifo(tmp_path / "fifo")
    real = module.os.stat

    def swap(name: Any, **options: Any) -> os.stat_result:
        found = real(name, **options)
        if str(name) == str(path):
            (tmp_path / "fifo").rename(path)
        return found

    monkeypatch.setattr(module.os, "stat", swap)
    with pytest.raises(ExportError, match="no regular file any more"):
        open_file(str(path), FileRules(), silent)


names = st.lists(st.sampled_from(["a", "b", "..", ".", "", "l", "m", "new"]), max_size=6)


@pytest.mark.slow
@given(names)
def test_resolving_is_what_the_kernel_does(parts: list[str]) -> None:
    """Where all links may be followed, the path is that of realpath(3)."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "a/b").mkdir(parents=True)
        (root / "a/l").symlink_to("..")
        (root / "l").symlink_to("a/b")
        (root / "a/b/m").symlink_to(root / "a")
        path = "/".join([name, *parts])
        try:
            expected = os.path.realpath(path, strict=True)
        except OSError:
            return  # what is missing is made as it is named
        assert place.resolve(path) == expected
