# SPDX-License-Identifier: Apache-2.0
"""The info file: what it says, and what stands in its way."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tests.support.agent_run import FakeSensor, Recorder
from tetrapy.btf.source import KIND_INFERRED, KIND_KERNEL, BtfSource
from tetrapy.config.sources import read
from tetrapy.daemon import info
from tetrapy.daemon.info import NAME, InfoFile
from tetrapy.daemon.policies import Policies

KERNEL = BtfSource(KIND_KERNEL, "/sys/kernel/btf/vmlinux")
TARGET = "what was there before"


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info, "RUN_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(info, "TETRAGON", str(tmp_path / "tetragon/tetragon-info.json"))


def write(*flags: str, source: BtfSource = KERNEL) -> tuple[InfoFile, Recorder]:
    log = Recorder()
    settings = read(list(flags), {})
    none = Policies(lambda _acquired: pytest.fail("no policy is to be loaded"), log)
    return InfoFile(settings, source, FakeSensor(), none, "unix:///s", log), log


def content(directory: Path) -> dict[str, object]:
    loaded = json.loads((directory / NAME).read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def aside(directory: Path) -> Path:
    """Where the content is written before it gets its name."""
    return directory / f"{NAME}.{os.getpid()}"


def test_what_it_says(tmp_path: Path) -> None:
    """Tetragon's keys with this agent's settings, and where the BTF comes from."""
    flags = ("--export-filename=/var/log/x", "--bpf-lib=/opt/bpf", "--metrics-server=:2112")
    file, log = write(*flags)
    assert file.paths == [str(tmp_path / "tetrapy-info.json")]
    assert content(tmp_path) == {
        "export_fname": "/var/log/x",
        "lib_dir": "/opt/bpf",
        "btf_fname": "/sys/kernel/btf/vmlinux",
        "btf_kind": "kernel",
        "btf_source": "kernel: /sys/kernel/btf/vmlinux",
        "server_address": "unix:///s",
        "metrics_address": ":2112",
        "sensor": "ebpf",
        "blind": [],
        "pid": os.getpid(),
        "policies": [],
    }
    assert log.lines == []


def test_an_inferred_layout(tmp_path: Path) -> None:
    """It says of which kernel the layout is, in the words of the log."""
    reported = "inferred from debian/12/x86_64/6.1.0-18-amd64"
    write(source=BtfSource(KIND_INFERRED, reported, b""))
    assert content(tmp_path)["btf_kind"] == "inferred"
    assert content(tmp_path)["btf_source"] == reported


def test_a_path_of_any_bytes(tmp_path: Path) -> None:
    """A path that is no UTF-8 is read back as Python names it."""
    path = os.fsdecode(b"/btf-\xff")
    _, log = write(source=BtfSource("user", path, b""))
    assert content(tmp_path)["btf_fname"] == path
    assert log.lines == []


def test_everyone_may_read_it(tmp_path: Path) -> None:
    """Mode 0644, as Tetragon's; nothing else is left in the directory."""
    before = os.umask(0o022)
    try:
        write()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == [NAME]


def test_it_is_removed(tmp_path: Path) -> None:
    """At the stop; once more, or after somebody else, is no error."""
    file, _ = write()
    file.remove()
    assert os.listdir(tmp_path) == []
    file.remove()


def test_an_older_file(tmp_path: Path) -> None:
    """What a killed agent left, longer than the new one, is replaced."""
    (tmp_path / NAME).write_text("x" * 10_000)
    aside(tmp_path).write_text("y" * 10_000)
    write()
    assert content(tmp_path)["pid"] == os.getpid()
    assert os.listdir(tmp_path) == [NAME]


def test_a_link_in_its_place(tmp_path: Path) -> None:
    """A symbolic link is replaced; what it leads to is neither written nor removed."""
    target = tmp_path / "target"
    target.write_text(TARGET)
    (tmp_path / NAME).symlink_to(target)
    file, log = write()
    assert not (tmp_path / NAME).is_symlink()
    assert content(tmp_path)["pid"] == os.getpid()
    assert log.lines == []
    file.remove()
    assert target.read_text() == TARGET


def refused(log: Recorder) -> str:
    """The one line of the log says that there is no info file; the reason."""
    ((level, message, keys),) = log.lines
    assert (level, message) == ("warn", "No info file")
    return str(keys["error"])


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_beside_it(tmp_path: Path, exists: bool) -> None:
    """A link where the content is to be written first is not followed."""
    target = tmp_path / "target"
    if exists:
        target.write_text(TARGET)
    aside(tmp_path).symlink_to(target)
    _, log = write()
    assert content(tmp_path)["pid"] == os.getpid()
    assert log.lines == []
    assert target.exists() is exists
    assert not exists or target.read_text() == TARGET


def test_a_fifo_beside_it(tmp_path: Path) -> None:
    """A FIFO that nobody reads does not keep the agent from starting."""
    os.mkfifo(aside(tmp_path))
    write()
    assert content(tmp_path)["pid"] == os.getpid()
    assert os.listdir(tmp_path) == [NAME]


@pytest.mark.parametrize("place", ["nowhere", "file"])
def test_no_such_directory(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that cannot be written is logged with the path; stopping needs no file."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(info, "RUN_DIRECTORY", str(tmp_path / place))
    file, log = write()
    assert refused(log) in {"No such file or directory", "Not a directory"}
    assert log.keys_of("No info file")["path"] == file.paths[0]
    file.remove()


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    """A directory of its name is left alone, and no half-made file beside it."""
    (tmp_path / NAME).mkdir()
    file, log = write()
    assert refused(log) == "Is a directory"
    file.remove()
    assert (tmp_path / NAME).is_dir()
    assert os.listdir(tmp_path) == [NAME]


def test_where_tetragons_client_looks(tmp_path: Path) -> None:
    """Only when asked; its directory is made, and the file goes with the other one."""
    file, log = write("--tetragon-info-file")
    there = tmp_path / "tetragon/tetragon-info.json"
    assert json.loads(there.read_text())["server_address"] == "unix:///s"
    assert log.lines == []
    file.remove()
    assert not there.exists()
