# SPDX-License-Identifier: Apache-2.0
"""What an ordinary user makes large stays small in the agent and in its file: bytes, not clocks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.agent import Agent

# What is run here fills the buffers and files of other tests' agents.
pytestmark = pytest.mark.alone

HUGE = "\x01" * 130_000  # of the two arguments that one process may have in the kernel's records
SCRIPT = "i=0; while [ $i -lt {0} ]; do /bin/true; i=$((i+1)); done; exit 0"
ROOM = 64 << 20
USER = 45_231  # nobody else's, for the agent sees all of the machine
LARGE = ("--export-file-max-size-mb", "1000", "--rb-size-total", "8M")


def highest(agent: Agent) -> int:
    """Bytes of memory that the agent had at most."""
    agent.fence()
    for line in Path(f"/proc/{agent.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError


def test_a_parent_with_long_arguments(tmp_path: Path) -> None:
    """Its arguments are in its own exec line, and a beginning of them in each child's."""
    with Agent(
        tmp_path, "--export-file-max-size-mb", "1000", "--enable-ancestors", "base"
    ) as agent:
        agent.started()
        command = ["/bin/sh", "-c", SCRIPT.format(500), "tag", HUGE, HUGE]
        subprocess.run(command, check=True, user=USER)
        size = highest(agent)
        lines = [line for line in agent.lines() if b'"uid":%d' % USER in line]
        assert agent.stop() == 0
    assert size < ROOM
    whole = [line for line in lines if len(line) > 20_000]
    (reported,) = [json.loads(line)["process_exec"]["process"] for line in whole]
    assert reported["arguments"].count("\x01") == 260_000
    assert "truncArgs" not in reported["flags"]
    children = [line for line in lines if b'"binary":"/bin/true"' in line]
    assert len(children) >= 100  # a machine that is busy loses some
    for line in children:
        (event,) = [value for name, value in json.loads(line).items() if "process_" in name]
        assert "truncArgs" in event["parent"]["flags"]


def test_many_processes_with_long_arguments(tmp_path: Path) -> None:
    """Parents that have ended live on with their children, and take little."""
    with Agent(tmp_path, *LARGE) as agent:
        agent.started()
        script = "sleep 1000 > /dev/null 2>&1 & echo $!; exit 0"
        sleeping = []
        try:
            for _ in range(150):
                command = ["/bin/sh", "-c", script, "tag", "🚀" + HUGE[1:], HUGE]
                done = subprocess.run(command, check=True, user=USER, stdout=subprocess.PIPE)
                sleeping.append(int(done.stdout))
            size = highest(agent)
        finally:
            for pid in sleeping:
                os.kill(pid, 9)
        assert agent.stop() == 0
    assert size < ROOM


def test_the_longest_line(tmp_path: Path) -> None:
    """A limit on lines holds for each, and each is JSON."""
    most = 100_000
    with Agent(tmp_path, "--export-event-max-bytes", str(most)) as agent:
        agent.started()
        for text in (HUGE, "🚀" * 30_000, "x" * 130_000, '"' * 130_000):
            subprocess.run(["/bin/true", text, text], check=True)
        agent.fence()
        lines = agent.lines()
        assert agent.stop() == 0
    assert max(map(len, lines)) <= most
    cut = [
        event["process_exec"]["process"]
        for event in map(json.loads, lines)
        if "truncArgs" in event.get("process_exec", {}).get("process", {}).get("flags", "")
    ]
    assert len(cut) >= 4


def test_evidence_is_not_pushed_out(tmp_path: Path, place: Path) -> None:
    """A user who fills the files over and over leaves what others did in them."""
    idle = place / "idle"
    shutil.copy("/bin/true", idle)
    idle.chmod(0o755)
    rules = ("--export-file-max-size-mb", "1", "--export-file-max-backups", "3")
    only = json.dumps({"binary_regex": [f"^{idle}$"]})
    with Agent(tmp_path, *rules, "--rb-size-total", "8M", "--export-allowlist", only) as agent:
        agent.started()
        subprocess.run([idle, "evidence-before"], check=True)
        for number in range(30):
            subprocess.run([idle, HUGE, HUGE], check=True, user=USER)
            if number % 10 == 5:
                subprocess.run([idle, f"evidence-{number}"], check=True, user=USER + 1)
        assert agent.stop() == 0
        log = agent.log
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("events*"))
    for name in ("before", "5", "15", "25"):
        assert kept.count(b'"arguments":"evidence-%b"' % name.encode()) == 2
    assert sum(file.stat().st_size for file in tmp_path.glob("*events*")) < 16 << 20
    assert "A user has filled its share of the export files" in log
    assert f"user={USER}" in log
