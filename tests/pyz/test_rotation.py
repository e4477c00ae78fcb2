# SPDX-License-Identifier: Apache-2.0
"""Rotation of the export file by the built agent: under load, by time, after kills and mishaps."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from bench import programs
from bench.figures import missing_lines
from tests.pyz.conftest import needs_root
from tests.support.agent import PYZ, TIMEOUT, Agent, until
from tests.support.sink_tools import backups, content, everything

pytestmark = needs_root

PROCESSES = 3000
IN_FLIGHT = 500


def mark(name: str) -> None:
    """Run a process that can be found in the events."""
    subprocess.run(["/bin/true", name], check=True)


def wait_for(export: Path, name: str) -> None:
    """Return when the file has the end of the process that was so called."""

    def reported() -> bool:
        if not export.exists():
            return False
        whole = export.read_bytes().splitlines()
        return any(x.startswith(b'{"process_exit"') and name.encode() in x for x in whole)

    until(reported, f"{name} in {export}")


@pytest.mark.parametrize("compress", ["true", "false"])
def test_a_burst(tmp_path: Path, compress: str) -> None:
    """Files are rotated in the midst of a burst: of each process both events are there, once."""
    load, target = programs.build(tmp_path / "programs")
    export = tmp_path / "logs/events.json"
    flags = (
        "--rb-size=4M",
        "--export-file-max-size-mb=1",
        "--export-file-max-backups=0",
        f"--export-file-compress={compress}",
        "--export-file-perm=640",
    )
    with Agent(tmp_path / "agent", *flags, code=PYZ, export=export) as agent:
        agent.started()
        command = [load, PROCESSES, IN_FLIGHT, target, "burst"]
        subprocess.run([str(word) for word in command], check=True, timeout=TIMEOUT)
        mark("after-the-burst")

        def is_reported() -> bool:
            # While one is compressed it may have both forms.
            lines = [x for x in content(export).splitlines() if b"after-the-burst" in x]
            return any(x.startswith(b'{"process_exit"') for x in lines)

        until(is_reported, "the end of the burst")
        assert agent.stop() == 0
    assert not agent.errors
    assert "Events are lost" not in agent.log
    rotated = [file for file in backups(export) if file.suffix == ".json"]
    assert len(backups(export)) >= 2
    assert all(file.stat().st_size <= 1 << 20 for file in rotated)
    assert {file.stat().st_mode & 0o777 for file in [export, *backups(export)]} == {0o640}
    # An agent that ends does not wait for a compression, and the next one goes on with it.
    seen = {file.name.removesuffix(".gz"): file for file in backups(export)}
    lines = [line for name in sorted(seen) for line in content(seen[name]).splitlines()]
    lines += content(export).splitlines()
    assert missing_lines(lines, "burst", PROCESSES) == []


def test_by_time(tmp_path: Path) -> None:
    """After each interval the file is rotated, which the log tells; the oldest are removed."""
    export = tmp_path / "logs/events.json"
    flags = ("--export-file-rotation-interval=1s", "--export-file-max-backups=2")
    with Agent(tmp_path / "agent", *flags, code=PYZ, export=export) as agent:
        agent.started()
        turns = iter(range(10_000))

        def rotated() -> bool:
            mark(f"turn-{next(turns)}")
            time.sleep(0.1)
            return agent.log.count("Rotating JSON logs export") >= 4

        until(rotated, "four rotations", 2 * TIMEOUT)
        assert f"file=events.json directory={tmp_path}/logs" in agent.log
        until(lambda: len(backups(export)) == 2, "the removal of old files")
        assert agent.stop() == 0
    assert all(json.loads(line) for line in everything(export))


def test_a_file_that_is_deleted_or_moved(tmp_path: Path) -> None:
    """It is made anew, and events go on; what was moved ends with a whole line."""
    export = tmp_path / "logs/events.json"
    with Agent(tmp_path / "agent", code=PYZ, export=export) as agent:
        agent.started()
        export.unlink()
        export.parent.rmdir()
        agent.wait_for_log("Export file was deleted")
        mark("after-the-deletion")
        wait_for(export, "after-the-deletion")
        export.rename(tmp_path / "moved")
        agent.wait_for_log("Export file was moved")
        mark("after-the-move")
        wait_for(export, "after-the-move")
        assert agent.stop() == 0
    assert (tmp_path / "moved").read_bytes().endswith(b"\n")
    assert "Events are lost" not in agent.log


def test_kills(tmp_path: Path) -> None:
    """An agent that is killed and started again, at any moment, leaves no half line behind."""
    export = tmp_path / "logs/events.json"
    # Nothing is rotated but what is a megabyte large, so the file is there before.
    line = json.dumps({"x": "x" * 990}).encode() + b"\n"
    flags = ("--export-file-max-size-mb=1", "--export-file-compress=true")
    for turn in range(6):
        with Agent(tmp_path / f"agent{turn}", *flags, code=PYZ, export=export) as agent:
            agent.started()
            with subprocess.Popen(["/bin/sh", "-c", "while :; do /bin/true kills; done"]) as storm:
                time.sleep(0.2 + turn * 0.05)
                agent.send(signal.SIGKILL)
                agent.wait()
                storm.kill()
        with export.open("ab") as file:
            # What a kill within a write leaves, and much before it.
            file.write(line * 1000 + b'{"process_exec":{"process":{"exec_id":"' * (turn % 2))
    with Agent(tmp_path / "last", *flags, code=PYZ, export=export) as agent:
        agent.started()
        until(lambda: not list(export.parent.glob("*.tmp")), "no compression half done")
        assert agent.stop() == 0
    found = everything(export)
    assert len(found) > 5000
    assert all(json.loads(line) for line in found)


def test_a_limit_of_file_size(tmp_path: Path) -> None:
    """Where a file may not grow larger (ulimit -f) the next one is begun; no signal ends it."""
    export = tmp_path / "events.json"
    limit = 16 << 20
    line = b'{"before":1}' + b" " * 1011 + b"\n"
    export.write_bytes(line * (limit // len(line)))
    under = ("prlimit", f"--fsize={limit}", "--")
    flags = ("--export-file-max-size-mb=1000",)
    with Agent(tmp_path / "agent", *flags, code=PYZ, under=under, export=export) as agent:
        agent.started()
        mark("beyond-the-limit")
        wait_for(export, "beyond-the-limit")
        assert agent.stop() == 0
    assert not agent.errors
    assert "Events are lost" not in agent.log
    (full,) = backups(export)
    assert full.stat().st_size == limit
    assert all(json.loads(line) for line in everything(export))


def test_a_link_in_a_public_directory(tmp_path: Path) -> None:
    """It is refused with what to do, and what it leads to is not touched."""
    public = tmp_path / "public"
    public.mkdir()
    public.chmod(0o777)
    (tmp_path / "target").write_bytes(b"precious\n")
    (public / "events.json").symlink_to(tmp_path / "target")
    with Agent(tmp_path / "agent", code=PYZ, export=public / "events.json") as agent:
        assert agent.wait() == 255
    assert re.search(r"export target .*events\.json is a symbolic link", agent.log + agent.errors)
    assert (tmp_path / "target").read_bytes() == b"precious\n"
