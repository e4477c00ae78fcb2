# SPDX-License-Identifier: Apache-2.0
"""The client's commands against the agent, both out of the built file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.pyz.conftest import needs_root
from tests.support.agent import PYZ, Agent, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_root

POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: seek}
spec:
  tracepoints:
  - subsystem: syscalls
    event: sys_enter_lseek
    args: [{index: 7, type: int32}]
    selectors:
    - matchArgs: [{index: 7, operator: Equal, values: ["4711"]}]
"""


class Tetra:
    """Runs commands against an agent."""

    def __init__(self, agent: Agent, address: str) -> None:
        self.agent = agent
        self.address = address

    def command(self, *words: str) -> list[str]:
        """The words of a command line."""
        return [str(PYZ), *words, "--server-address", self.address]

    def __call__(self, *words: str) -> str:
        """What a command that is done says."""
        done = self._run(*words)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def beside(self, *words: str) -> str:
        """The same where the agent's own files are."""
        command = ["nsenter", "-t", str(self.agent.pid), "-m", sys.executable, str(PYZ), *words]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def refused(self, *words: str) -> str:
        """What a command that fails says."""
        done = self._run(*words)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture(scope="module", name="tetra")
def fixture_tetra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tetra]:
    """One agent for all tests of this file."""
    directory: Path = tmp_path_factory.mktemp("agent")
    address = f"unix://{directory}/socket"
    flags = ("--server-address", address)
    with Agent(directory, *flags, code=PYZ) as agent:
        agent.started()
        yield Tetra(agent, address)


def test_what_it_is(tetra: Tetra) -> None:
    """Its state, its version, its settings, what it keeps."""
    assert tetra("status") == "Health Status: running\n"
    assert "\nServer version: " in tetra("version", "--server")
    info = json.loads(tetra("info"))
    assert set(info) == {"Name", "Version", "Probes", "Conf", "Build"}
    assert info["Conf"]["export-filename"] == str(tetra.agent.export)
    processes = [json.loads(line) for line in tetra("dump", "processcache").splitlines()]
    assert os.getpid() in [one["process"].get("pid") for one in processes]
    assert tetra("eventlog", "get").startswith("Current logging parameters: max_size:")


def test_its_programs_and_maps(tetra: Tetra) -> None:
    """What they took in a second, of the agent alone or of all; what they take of memory."""
    clock, blank, head, *rows = tetra.beside("debug", "progs", "--once").splitlines()
    assert (clock[-10:], blank) == (" +0000 UTC", "")
    assert head.split("\t")[:4] == ["Ovh(%)", "Id", "Cnt", "Time"]
    names = {row.split()[4] for row in rows}
    assert {"on_exec", "on_fork", "on_exit"} <= names
    found = json.loads(tetra.beside("debug", "maps", "-o", "json"))
    buffer = next(one for one in found["aggregated_maps"] if one["type"] == "RingBuf")
    assert 0 < buffer["total_memlock"] < found["total_memlock_bytes"]
    table = tetra.beside("debug", "maps", "-n", "2").splitlines()
    assert len(table) == 2 + 1 + 2


def test_log_level(tetra: Tetra) -> None:
    """It changes at once."""
    assert tetra("loglevel", "set", "info") == "Log level set to: LOG_LEVEL_INFO\n"
    assert tetra("loglevel", "get") == "Current log level: LOG_LEVEL_INFO\n"
    assert tetra("loglevel", "set", "debug") == "Log level set to: LOG_LEVEL_DEBUG\n"


def test_policies(tetra: Tetra, tmp_path: Path) -> None:
    """Loaded, listed, disabled, enabled, unloaded; what is not there, or no policy, is refused."""
    path = tmp_path / "seek.yaml"
    path.write_text(POLICY)
    assert tetra("tp", "add", str(path)) == f'tracing policy "{path}" added\n'

    def state() -> str:
        head, row = tetra("tp", "list").splitlines()
        assert head.split()[:4] == ["ID", "NAME", "DOMAIN", "STATE"]
        return row[head.index("STATE") :].split()[0]

    assert state() == "enabled"
    assert json.loads(tetra("tp", "list", "-o", "json"))["policies"][0]["name"] == "seek"
    tetra("tp", "disable", "seek")
    assert state() == "disabled"
    tetra("tp", "enable", "seek")
    assert state() == "enabled"
    tetra("tp", "delete", "seek")
    assert tetra("tp", "list").count("\n") == 1
    assert tetra.refused("tp", "delete", "seek").startswith(
        "Error: failed to delete tracing policy: rpc error: code = "
    )
    path.write_text("spec: {probes: []}")
    assert "desc = " in tetra.refused("tp", "add", str(path))


@pytest.mark.parametrize("form", ["json", "compact"])
def test_events(tetra: Tetra, form: str) -> None:
    """Of a program that is asked for, as they happen; an interrupt ends it well."""
    tag = f"client-{form}-{os.getpid()}"
    command = tetra.command("getevents", "-o", form, "--process", "/true$", "-e", "PROCESS_EXEC")
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as client:
        assert client.stdout is not None
        os.set_blocking(client.stdout.fileno(), False)
        out = b""

        def told() -> bool:
            nonlocal out
            subprocess.run(["/bin/true", tag], check=True)
            out += client.stdout.read() or b""
            return tag.encode() in out and out.endswith(b"\n")

        until(told, f"an event of {tag}")
        client.send_signal(signal.SIGINT)
        rest, errors = client.communicate()
        assert (client.returncode, errors) == (0, b"")
    lines = (out + (rest or b"")).decode().splitlines()
    if form == "compact":
        assert all(line.startswith("🚀 process ") for line in lines)
        assert any(line.endswith(f"/true {tag}") for line in lines)
    else:
        assert {next(iter(json.loads(line))) for line in lines} == {"process_exec"}
