"""Where the events go: files, standard output, pipes, full disks."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from tests.pyz.conftest import assert_one_line, needs_root
from tests.support.agent import PATIENCE, PYZ, Agent, isolated, until

pytestmark = needs_root


def start(*flags: str, prepare: str = "", **options) -> subprocess.Popen:
    """The built file in an own /run, as a process."""
    command = isolated([str(PYZ), *flags], prepare)
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)


def listening(process: subprocess.Popen) -> list[bytes]:
    """Read the log on standard error until it listens for events; the lines."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if b"Listening for events" in line:
            break
    assert lines, "no log on standard error"
    assert b"Listening for events" in lines[-1], lines
    return lines


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
        rest, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    assert b"process_exec" not in rest
    assert errors == b""
    assert list(tmp_path.iterdir()) == []


def test_standard_output(tmp_path: Path) -> None:
    """With - events alone go to standard output, the log to standard error."""
    process = start("--export-filename", "-", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        listening(process)
        subprocess.run(["/bin/true", "to-stdout"], check=True)
        process.send_signal(signal.SIGINT)
        events, log = process.communicate(timeout=PATIENCE)
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
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
            assert ready
            seen += os.read(process.stdout.fileno(), 65536)
        process.terminate()
        process.communicate(timeout=PATIENCE)
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
            code = process.wait(timeout=PATIENCE / 3)
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
        until(lambda: process.poll() is not None or export.exists() and export.stat().st_size, "it")
        process.terminate()
        log = process.stderr.read().decode()
        process.wait(timeout=PATIENCE)
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
        assert process.wait(timeout=PATIENCE) == 0
    assert all(json.loads(line) for line in (first + rest).splitlines())


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
    """A read-only file system is told as such."""
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


def test_fifo(tmp_path: Path) -> None:
    """A FIFO that somebody reads works as a file does."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE) as reader:
        process = start("--export-filename", str(fifo), stdout=subprocess.PIPE)
        with process:
            for line in process.stdout:
                if b"Listening for events" in line:
                    break
            subprocess.run(["/bin/true", "through-fifo"], check=True)
            process.terminate()
            process.communicate(timeout=PATIENCE)
            assert process.returncode == 0
        events, _ = reader.communicate(timeout=PATIENCE)
    assert events.count(b'"arguments":"through-fifo"') == 2
    assert all(json.loads(line) for line in events.splitlines())


def test_full_disk(tmp_path: Path) -> None:
    """A full disk is told once; when there is room again, so is that, and no line is torn."""
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
        told = [event for event in agent.events() if event.arguments == "in-between"]
        assert [event.kind for event in told] == ["exec", "exit"]
        assert agent.stop() == 0
    assert not agent.errors


def test_full_disk_to_the_end(tmp_path: Path) -> None:
    """What could not be written at all is told at the end, in lines."""
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
    assert count > 10


def test_file_size_limit(tmp_path: Path) -> None:
    """A file that may not grow (ulimit -f) is told as a full disk is; no signal ends the agent."""
    under = ("prlimit", f"--fsize={16 << 20}", "--")
    export = tmp_path / "events.json"
    with export.open("wb") as file:
        file.truncate(32 << 20)
    process = subprocess.Popen(
        isolated([*under, str(PYZ), "--export-filename", str(export)]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        log = b""
        for line in process.stdout:
            log += line
            if b"File too large" in line:
                break
        process.terminate()
        rest, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert errors == b""
    assert b"File too large" in log
    assert export.stat().st_size == 32 << 20
    assert b"Events are lost" in rest


def test_big_records(tmp_path: Path, actor: Path) -> None:
    """Lines of several hundred kilobytes are written whole."""
    with Agent(tmp_path, code=PYZ) as agent:
        agent.started()
        for _ in range(5):
            subprocess.run([actor, "huge", "exit", "0", "y" * 120_000, "z" * 120_000], check=True)
        told = agent.tagged("huge")
        assert agent.stop() == 0
    assert [event.kind for event in told] == ["exec", "exit"] * 5
    assert {len(event.arguments) for event in told} == {240_000 + len("huge exit 0  ")}
