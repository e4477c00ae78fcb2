# SPDX-License-Identifier: Apache-2.0
"""The built file gives up what it does not need when it listens, and works all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from bench.reliability.watched import free_port
from tests.pyz.conftest import needs_root
from tests.support.agent import Agent, until
from tests.support.sink_tools import backups

pytestmark = needs_root

NUMBERS = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "DAC_READ_SEARCH": 2,
    "FOWNER": 3,
    "NET_ADMIN": 12,
    "SYS_PTRACE": 19,
    "SYS_ADMIN": 21,
    "SYS_RESOURCE": 24,
    "SYSLOG": 34,
    "PERFMON": 38,
    "BPF": 39,
}
LOADING = ("BPF", "PERFMON", "SYS_ADMIN", "SYS_RESOURCE", "SYSLOG", "DAC_READ_SEARCH")
NOBODY = 65534


def bits(*names: str) -> int:
    return sum(1 << NUMBERS[name] for name in names)


def held(pid: int) -> set[tuple[int, int, int, int]]:
    """Effective, permitted, bounding set and no_new_privs; one entry when all threads agree."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            lines = (task / "status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that served one request, and is gone meanwhile
        fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        sets = [int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")]
        found.add((*sets, int(fields["NoNewPrivs"])))
    return found


def works(agent: Agent) -> None:
    """It tells of a process of another user, and of its end."""
    command = ["/bin/sh", "-c", "sleep 0.2; : $0", f"rights-{agent.pid}x"]
    subprocess.run(command, check=True, user=NOBODY, cwd="/")
    events = agent.tagged(f"rights-{agent.pid}x")
    assert {event.kind for event in events} == {"exec", "exit"}


@pytest.mark.parametrize(
    ("flags", "kept", "reserve"),
    [
        ((), ("BPF", "SYS_PTRACE"), LOADING),
        (("--use-perf-ring-buffer",), ("BPF", "SYS_PTRACE"), LOADING),
        (("--load-policies-at-run-time=false",), ("BPF", "SYS_PTRACE"), ()),
        (("--sensor=connector",), ("NET_ADMIN", "SYS_PTRACE"), ()),
    ],
    ids=["ring", "perf", "closed", "connector"],
)
def test_what_is_kept(
    tmp_path: Path, flags: tuple[str, ...], kept: tuple[str, ...], reserve: tuple[str, ...]
) -> None:
    """By all threads, those of the servers too; nothing that it executes could have more.

    What loading a policy takes is not in effect.
    """
    port = free_port()
    metrics = f"--metrics-server=localhost:{port}"
    with Agent(tmp_path, metrics, *flags) as agent:
        agent.started()
        with urllib.request.urlopen(f"http://localhost:{port}/metrics") as answer:
            assert answer.status == 200
        # An own capability may be missing on this machine, for root too.
        own = int(Path("/proc/self/status").read_text().split("CapBnd:\t")[1].split()[0], 16)
        wanted, permitted = bits(*kept) & own, bits(*{*kept, *reserve}) & own
        assert held(agent.pid) == {(wanted, permitted, wanted, 1)}
        works(agent)
        assert agent.stop() == 0
    assert agent.statistics()["received"] > 0
    assert not agent.errors


def test_rotation_and_reload_need_nothing_more(tmp_path: Path) -> None:
    """Files are put aside, compressed and removed, settings read again, losses still counted."""
    flags = (
        "--export-file-rotation-interval=1s",
        "--export-file-compress",
        "--export-file-max-backups=1",
    )
    with Agent(tmp_path, *flags) as agent:
        agent.started()

        def rotated() -> bool:
            subprocess.run(["/bin/true"], check=True)
            return agent.log.count("Rotating JSON logs export") >= 3

        until(rotated, "three rotations")
        until(lambda: any(path.suffix == ".gz" for path in backups(agent.export)), "a .gz")
        agent.send(signal.SIGHUP)
        agent.wait_for_log("Settings are read again")
        assert agent.stop() == 0
    assert "cannot be rotated" not in agent.log
    assert agent.statistics()["lost"] == 0 or agent.losses()


def test_a_file_of_another_user_stays_theirs(tmp_path: Path) -> None:
    """For that more is kept, and the new file has the owner of the old one."""
    export = tmp_path / "logs/events.json"
    export.parent.mkdir()
    export.touch(0o600)
    os.chown(export, NOBODY, NOBODY)
    with Agent(tmp_path / "agent", "--export-file-rotation-interval=1s", export=export) as agent:
        agent.started()
        wanted = bits("BPF", "SYS_PTRACE", "CHOWN", "DAC_OVERRIDE", "FOWNER")
        assert {one[0] for one in held(agent.pid)} == {wanted}

        def rotated() -> bool:
            subprocess.run(["/bin/true"], check=True)
            return "Rotating JSON logs export" in agent.log and bool(backups(export))

        until(rotated, "a rotation")
        until(lambda: export.exists() and export.stat().st_uid == NOBODY, "the new file")
        assert agent.stop() == 0
    assert export.stat().st_mode & 0o777 == 0o600
