# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf` when it is told to stop: at once, with the shell's exit code, and nothing stays."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import harvest_builders as b
from tests.support.paths import ROOT
from tetrapy.btf.harvest.journal import NAME

pytestmark = pytest.mark.slow

AGENT = ROOT / "agent"
DWARF = b.vmlinux({".rodata": b.BANNER.encode(), ".debug_info": b"dwarf"})
# Far more than anything here takes; only a process that never ends waits for so long.
TIMEOUT = 60


class Harvest(NamedTuple):
    """A harvest that waits for its pahole, and a pipe that both pahole and its child hold open."""

    process: subprocess.Popen[str]
    pipe: int
    output: Path

    def pahole_is_gone(self) -> bool:
        """Wait for the end of the pipe."""
        while select.select([self.pipe], [], [], TIMEOUT)[0]:
            if not os.read(self.pipe, 100):
                return True
        return False


Start = Callable[..., Harvest]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts harvests of a kernel with DWARF and waits until pahole runs."""
    started: list[Harvest] = []
    # Who runs the tests by nohup has this signal ignored, in all that they start.
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def run(*words: str, before: str = "", jobs: int = 1) -> Harvest:
        (tmp_path / "in").mkdir(exist_ok=True)
        for number in range(jobs):
            (tmp_path / f"in/vmlinux-{number}").write_bytes(DWARF)
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        program = tmp_path / "pahole"
        program.write_text(f"#!/bin/sh\nexec 3>{fifo}\necho begun >&3\nsleep 1000 & sleep 1000\n")
        program.chmod(0o755)
        # Opened for reading and writing it does not wait for the other side.
        pipe = os.open(fifo, os.O_RDWR)
        if not words:
            words = (
                "harvest",
                f"{tmp_path}/in",
                "--output",
                f"{tmp_path}/out",
                "--jobs",
                str(jobs),
            )
        command = ["/bin/sh", "-c", before + 'exec "$@"', "sh", sys.executable, str(AGENT), "btf"]
        command += [*words, "--pahole", str(program)]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        read = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(read, True)
        begun = b""
        while begun.count(b"begun\n") < jobs:
            begun += os.read(read, 100)
        os.close(pipe)
        started.append(Harvest(process, read, tmp_path / "out"))
        return started[-1]

    yield run
    signal.signal(signal.SIGHUP, former)
    for harvest in started:
        harvest.process.kill()
        harvest.process.communicate()
        os.close(harvest.pipe)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_a_harvest(start: Start, number: int, code: int) -> None:
    """The workers, pahole and what that started end too, and no unfinished file stays."""
    harvest = start(jobs=2)
    harvest.process.send_signal(number)
    said, _ = harvest.process.communicate(timeout=TIMEOUT)
    assert harvest.pahole_is_gone()
    assert harvest.process.returncode == code, said
    assert "Traceback" not in said
    assert os.listdir(harvest.output) == [NAME]


def test_a_harvest_that_is_killed(start: Start, tmp_path: Path) -> None:
    """Workers see that nobody waits for them any more; then the directory is free again."""
    harvest = start(jobs=2)
    harvest.process.kill()
    # The workers hold standard output; they end when pahole is gone, without a word.
    said, _ = harvest.process.communicate(timeout=TIMEOUT)
    assert harvest.pahole_is_gone()
    assert "Traceback" not in said
    result = b.collect(tmp_path, b.hub(tmp_path / "in", b.KEY, b.kernel_btf()))
    assert result.complete


def test_a_hangup_that_is_ignored(start: Start) -> None:
    """With nohup, the end of the terminal does not stop it."""
    harvest = start(before="trap '' HUP; ")
    harvest.process.send_signal(signal.SIGHUP)
    harvest.process.send_signal(signal.SIGTERM)
    harvest.process.communicate(timeout=TIMEOUT)
    assert harvest.process.returncode == 143


def test_a_signal_stops_add(start: Start, tmp_path: Path) -> None:
    """Neither the store nor the directory for temporary files keeps anything."""
    kernel = tmp_path / "vmlinux"
    kernel.write_bytes(DWARF)
    add = start("add", str(kernel), "--dir", str(tmp_path / "store"))
    before = set(os.listdir(tmp_path))
    add.process.terminate()
    add.process.communicate(timeout=TIMEOUT)
    assert add.pahole_is_gone()
    assert add.process.returncode == 143
    gone = before - set(os.listdir(tmp_path))
    assert len(gone) == 1
    assert gone.pop().startswith("tetrapy-btf-")
    assert not (tmp_path / "store").exists()
