# SPDX-License-Identifier: Apache-2.0
"""The metrics of the built file: served while it runs, refused clearly, gone when it stops."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.pyz.conftest import needs_root
from tests.pyz.test_hosts import GOOD, PYTHONS
from tests.support.agent import PYZ, Agent
from tetrapy.metrics.http import KEPT

pytestmark = needs_root


def address(agent: Agent) -> str:
    """The address that the log names."""
    found = re.search(r'"Starting metrics server" addr="?([^\s"]+)', agent.log)
    assert found, agent.log
    return found[1]


def scrape(at: str, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://{at}{path}", timeout=60) as response:
        return response.read().decode()


def reported_source(text: str) -> str:
    """The label `source` of tetrapy_btf_source_info, which is 1."""
    found = re.search(
        r'^tetrapy_btf_source_info\{kind="\w+",source="(.*)"\} 1$', text, re.MULTILINE
    )
    assert found, text
    return found[1]


@pytest.mark.parametrize("version", GOOD)
def test_served(tmp_path: Path, version: str) -> None:
    """On every Python: the version, and the BTF's source as the info file has it."""
    keep = tmp_path / "run"
    keep.mkdir()
    agent = Agent(
        tmp_path / "agent",
        "--metrics-server=127.0.0.1:0",
        code=PYZ,
        python=PYTHONS[version],
        prepare=f"mount --bind {keep} /run",
        environment={"PYTHONWARNINGS": "error"},
    )
    with agent:
        text = scrape(address(agent.started()))
        info = json.loads((keep / "tetrapy/tetrapy-info.json").read_text())
        assert agent.stop() == 0
    release = subprocess.run([PYZ, "--version"], capture_output=True, text=True, check=True).stdout
    assert f'version="{release.strip()}"}} 1\n' in text
    assert reported_source(text) == info["btf_source"]
    assert info["metrics_address"] == "127.0.0.1:0"
    assert not agent.errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_closes_it(tmp_path: Path, number: int) -> None:
    """A signal stops the agent with a connection open, and the port is closed."""
    with Agent(tmp_path, "--metrics-server=localhost:0", code=PYZ) as agent:
        at = address(agent.started())
        host, _, port = at.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as peer:
            scrape(at)
            assert agent.stop(number) == 0
            assert peer.recv(1) == b""
    with pytest.raises(urllib.error.URLError, match="refused"):
        scrape(at)


@pytest.mark.parametrize("setting", ["metrics-server", "healthz-address"])
def test_a_busy_port(tmp_path: Path, setting: str) -> None:
    """Address, reason and flag are in the log, and events are recorded all the same."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        at = f"127.0.0.1:{busy.getsockname()[1]}"
        with Agent(tmp_path, f"--{setting}={at}", code=PYZ) as agent:
            assert agent.started().fence()
            assert agent.stop() == 0
    (line,) = [line for line in agent.log.splitlines() if "level=error" in line]
    assert f"cannot be served at {at}: Address already in use" in line
    assert f"--{setting}" in line


def figures(text: str) -> dict[str, float]:
    """Each sample as it is written without its figure, and the figure."""
    rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {sample: float(value) for sample, _, value in rows}


def test_figures_are_those_of_the_file(tmp_path: Path) -> None:
    """Exported events are the lines of the file, and so are those by type and binary."""
    with Agent(tmp_path, "--metrics-server=127.0.0.1:0", "--log-level=info", code=PYZ) as agent:
        at = address(agent.started())
        agent.fence()
        reported = figures(scrape(at))
        agent.fence()
        written = [json.loads(line) for line in agent.lines()]
        time.sleep(KEPT)  # figures are reported once a second
        later = figures(scrape(at))
        assert agent.stop() == 0
    kinds = [next(iter(line)) for line in written]
    for kind in ("process_exec", "process_exit"):
        counts = [
            sum(
                value
                for name, value in figures_.items()
                if name.startswith("tetragon_events_total{") and f'type="{kind.upper()}"' in name
            )
            for figures_ in (reported, later)
        ]
        assert counts[0] <= kinds.count(kind) <= counts[1]
    exported = "tetragon_events_exported_total"
    assert reported[exported] <= len(written) <= later[exported]
    size = "tetragon_events_exported_bytes_total"
    assert 0 < reported[size] <= agent.export.stat().st_size


def test_health(tmp_path: Path) -> None:
    """Beside the metrics and at its own address: well while it runs, stalled is its own word."""
    flags = ["--metrics-server=127.0.0.1:0", "--healthz-address=127.0.0.1:0"]
    with Agent(tmp_path, *flags, code=PYZ) as agent:
        at = address(agent.started())
        own = re.search(r'"Starting health server" addr="?([^\s"]+)', agent.log)
        assert own, agent.log
        agent.fence()
        for place in (at, own[1]):
            reported = json.loads(scrape(place, "/healthz"))
            assert reported["status"] == "ok"
            assert reported["sensor"] == "ebpf"
            assert reported["exported"] > 0
        with pytest.raises(urllib.error.HTTPError, match="404"):
            scrape(own[1])
        assert agent.stop() == 0


def test_no_address(run) -> None:
    """What is no address is wrong use, also in the environment."""
    done = run(PYZ, environment={"TETRAPY_METRICS_SERVER": "2112"})
    assert done.returncode == 1
    assert 'TETRAPY_METRICS_SERVER: metrics-server is "2112"' in done.stderr


def test_nothing_listens_unasked(tmp_path: Path) -> None:
    """Without the setting there is no thread for it, and the log names no server.

    Beside the first there is the one that makes reads which may wait; and rotated files are looked
    after by one now and then, unless nothing is to be done with them.
    """
    with Agent(tmp_path, "--export-file-max-backups=0", code=PYZ) as agent:
        agent.started()
        assert len(list(Path(f"/proc/{agent.pid}/task").iterdir())) <= 2
        assert agent.stop() == 0
    assert "metrics server" not in agent.log
