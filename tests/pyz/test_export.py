# SPDX-License-Identifier: Apache-2.0
"""Events to files: new ones, old ones, those that cannot be written, full disks."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.pyz.conftest import assert_one_line, needs_root, start
from tests.support.agent import PYZ, TIMEOUT, Agent

pytestmark = needs_root


def test_new_file(tmp_path: Path) -> None:
    """A new file can be read by its owner only, whatever the umask; directories are made."""
    export = tmp_path / "a/b/events.json"
    with Agent(tmp_path / "agent", code=PYZ, prepare="umask 0", export=export) as agent:
        agent.started()
        assert export.stat().st_mode & 0o777 == 0o600
        assert export.parent.stat().st_mode & 0o777 == 0o755
        assert agent.stop() == 0


def test_existing_file(tmp_path: Path) -> None:
    """An existing file is appended to and keeps its mode."""
    export = tmp_path / "events.json"
    export.write_text('{"before":1}\n', encoding="utf-8")
    export.chmod(0o644)
    for turn in range(2):
        with Agent(tmp_path / f"agent{turn}", code=PYZ, export=export) as agent:
            agent.started()
            assert agent.stop() == 0
    assert export.stat().st_mode & 0o777 == 0o644
    lines = export.read_text(encoding="utf-8").splitlines()
    assert lines[0] == '{"before":1}'
    kernels = [line for line in lines if '"process":{' in line and '"pid":0,' in line[:120]]
    assert len(kernels) == 2
    assert all(json.loads(line) for line in lines)


def test_no_export(run, tmp_path: Path) -> None:
    """Without an export file it runs, and writes no events anywhere."""
    process = start(stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    with process:
        for line in process.stdout:
            if b"Listening for events" in line:
                break
        process.terminate()
        rest, errors = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0
    assert b"process_exec" not in rest
    assert errors == b""
    assert list(tmp_path.iterdir()) == []


def test_directory(run, tmp_path: Path) -> None:
    """A directory is told to be one, with what to do."""
    line = assert_one_line(run(PYZ, "--export-filename", tmp_path))
    assert f"{tmp_path} is a directory" in line


def test_below_a_file(run, tmp_path: Path) -> None:
    """A path through a file is refused."""
    (tmp_path / "file").touch()
    line = assert_one_line(run(PYZ, "--export-filename", tmp_path / "file/events.json"))
    assert f"{tmp_path}/file/events.json" in line


def test_read_only(run, tmp_path: Path) -> None:
    """A read-only file system is reported as such."""
    prepare = f"mount -t tmpfs -o ro tmpfs {tmp_path}"
    line = assert_one_line(
        run(PYZ, "--export-filename", tmp_path / "events.json", prepare=prepare, cwd="/")
    )
    assert f"{tmp_path}/events.json" in line
    assert "Read-only file system" in line


def test_fifo_without_reader(run, tmp_path: Path) -> None:
    """A FIFO that nobody reads is refused, not waited for."""
    os.mkfifo(tmp_path / "fifo")
    line = assert_one_line(run(PYZ, "--export-filename", tmp_path / "fifo"))
    assert "FIFO" in line


def test_full_disk(tmp_path: Path) -> None:
    """A full disk is reported once; when there is room again, so is that, and no line is torn."""
    disk = tmp_path / "disk"
    disk.mkdir()
    prepare = f"mount -t tmpfs -o size=4M tmpfs {disk}; head -c 4M /dev/zero > {disk}/filler || :"
    export = disk / "events.json"
    with Agent(tmp_path / "agent", code=PYZ, prepare=prepare, export=export) as agent:
        agent.export = Path(f"/proc/{agent.pid}/root{export}")
        agent.started().wait_for_log("No space left on device")
        subprocess.run(["/bin/true", "in-between"], check=True)
        assert agent.log.count("No space left on device") == 1
        Path(f"/proc/{agent.pid}/root{disk}/filler").unlink()
        agent.fence()
        agent.wait_for_log("works again")
        reported = [event for event in agent.events() if event.arguments == "in-between"]
        assert [event.kind for event in reported] == ["exec", "exit"]
        assert agent.stop() == 0
    assert not agent.errors


def test_full_disk_to_the_end(tmp_path: Path) -> None:
    """What could not be written at all is reported at the end, in lines."""
    disk = tmp_path / "disk"
    disk.mkdir()
    prepare = f"mount -t tmpfs -o size=1M tmpfs {disk}; head -c 1M /dev/zero > {disk}/filler || :"
    with Agent(tmp_path / "agent", code=PYZ, prepare=prepare, export=disk / "events.json") as agent:
        agent.started().wait_for_log("No space left on device")
        agent.stop()
    assert not agent.errors
    assert "Traceback" not in agent.log
    (line,) = [line for line in agent.log.splitlines() if "Events are lost" in line]
    assert f"file={disk}/events.json" in line
    count = int(line.rpartition("lines=")[2].split()[0])
    assert count >= 3  # <kernel>, this test and the agent are always there


def test_big_records(tmp_path: Path, actor: Path) -> None:
    """Lines of several hundred kilobytes are written whole."""
    with Agent(tmp_path, code=PYZ) as agent:
        agent.started()
        for _ in range(5):
            subprocess.run([actor, "huge", "exit", "0", "y" * 120_000, "z" * 120_000], check=True)
        reported = agent.tagged("huge")
        assert agent.stop() == 0
    assert [event.kind for event in reported] == ["exec", "exit"] * 5
    sizes = {event.kind: len(event.arguments) for event in reported}
    # An exit repeats their beginning only.
    assert sizes == {"exec": 240_000 + len("huge exit 0  "), "exit": 4096}
