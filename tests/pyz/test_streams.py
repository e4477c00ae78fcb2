# SPDX-License-Identifier: Apache-2.0
"""Events to standard output, pipes and FIFOs; readers that go away or stall; closed descriptors."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from tests.pyz.conftest import assert_one_line, listening, needs_root, start
from tests.support.agent import PYZ, TIMEOUT, until

pytestmark = [needs_root, pytest.mark.alone]


def test_standard_output(tmp_path: Path) -> None:
    """With - events alone go to standard output, the log to standard error."""
    process = start("--export-filename", "-", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        listening(process)
        subprocess.run(["/bin/true", "to-stdout"], check=True)
        process.send_signal(signal.SIGINT)
        events, log = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0
    assert events.endswith(b"\n")
    kinds = [
        set(json.loads(line)) & {"process_exec", "process_exit"}
        for line in events.split(b"\n")[:-1]
    ]
    assert all(kinds)
    assert events.count(b'"arguments":"to-stdout"') == 2
    assert b"Observer events statistics" in log
    assert b"level=" not in events.partition(b'{"process')[0]


def test_events_come_at_once(tmp_path: Path) -> None:
    """An event is on standard output before anything else happens, so a terminal is live."""
    process = start("--export-filename", "-", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        listening(process)
        subprocess.run(["/bin/true", "at-once"], check=True)
        seen = b""
        while b'"arguments":"at-once"' not in seen:
            ready, _, _ = select.select([process.stdout], [], [], TIMEOUT)
            assert ready
            seen += os.read(process.stdout.fileno(), 65536)
        process.terminate()
        process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0


def test_reader_closes(tmp_path: Path) -> None:
    """When the reader of standard output goes away it ends, without a trace of Python."""
    process = start("--export-filename", "-", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        listening(process)
        process.stdout.close()

        def ended() -> bool:
            subprocess.run(["/bin/true"], check=True)
            return process.poll() is not None

        until(ended, "the end of the agent")
        log = process.stderr.read().decode()
        assert process.returncode == 0
    assert "Traceback" not in log
    assert "Exception" not in log
    assert "Nobody reads" in log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_reader_stalls(tmp_path: Path, actor: Path, number: int) -> None:
    """A reader that takes nothing any more does not keep it from stopping."""
    process = start("--export-filename", "-", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        listening(process)
        subprocess.run([actor, "x" * 3000, "storm", "100", actor], check=True)
        # Now the pipe is full: nobody has read a line.
        until(lambda: _waits_in_write(process.pid), "a full pipe")
        process.send_signal(number)
        try:
            code = process.wait(timeout=TIMEOUT / 3)
        finally:
            process.kill()
        assert code == 0
        log = process.stderr.read().decode()
        assert "Traceback" not in log
        assert "Observer events statistics" in log


def _waits_in_write(pid: int) -> bool:
    number = Path(f"/proc/{pid}/syscall").read_text(encoding="utf-8").split()[0]
    # write, select, pselect6, poll, ppoll: of x86_64 and of aarch64.
    return number in {"1", "23", "270", "7", "271", "64", "72", "73"}


def test_closed_standard_output(tmp_path: Path) -> None:
    """With a closed standard output it either says so or works; events never go astray."""
    export = tmp_path / "events.json"
    process = start("--export-filename", str(export), stderr=subprocess.PIPE, prepare="exec >&-")
    with process:
        until(
            lambda: process.poll() is not None or (export.exists() and export.stat().st_size),
            "events",
        )
        process.terminate()
        log = process.stderr.read().decode()
        process.wait(timeout=TIMEOUT)
    assert "Traceback" not in log
    assert process.returncode == 0


def test_events_to_closed_standard_output(run) -> None:
    """Events cannot go to a standard output that is closed."""
    line = assert_one_line(run(PYZ, "--export-filename", "-", prepare="exec >&-"))
    assert "standard output" in line


def test_closed_standard_error(tmp_path: Path) -> None:
    """With a closed standard error the log goes nowhere, above all not between the events."""
    process = start("--export-filename", "-", stdout=subprocess.PIPE, prepare="exec 2>&-")
    with process:
        first = process.stdout.readline()
        process.terminate()
        rest = process.stdout.read()
        assert process.wait(timeout=TIMEOUT) == 0
    assert all(json.loads(line) for line in (first + rest).splitlines())


def test_fifo(tmp_path: Path) -> None:
    """A FIFO that somebody reads works as a file does."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read = tmp_path / "read"
    with read.open("wb") as file, subprocess.Popen(["cat", fifo], stdout=file) as reader:
        process = start("--export-filename", str(fifo), stdout=subprocess.PIPE)
        with process:
            for line in process.stdout:
                if b"Listening for events" in line:
                    break
            subprocess.run(["/bin/true", "through-fifo"], check=True)
            process.terminate()
            process.communicate(timeout=TIMEOUT)
            assert process.returncode == 0
        reader.wait(timeout=TIMEOUT)
    events = read.read_bytes()
    assert events.count(b'"arguments":"through-fifo"') == 2
    assert all(json.loads(line) for line in events.splitlines())
