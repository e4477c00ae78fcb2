"""The metrics of the built file: served while it runs, refused clearly, gone when it stops."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.pyz.conftest import assert_one_line, needs_root
from tests.pyz.test_hosts import GOOD, PYTHONS
from tests.support.agent import PYZ, Agent

pytestmark = needs_root


def address(agent: Agent) -> str:
    """The address that the log names."""
    found = re.search(r'"Starting metrics server" addr="?([^\s"]+)', agent.log)
    assert found, agent.log
    return found[1]


def scrape(at: str, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://{at}{path}", timeout=60) as response:
        return response.read().decode()


def told_source(text: str) -> str:
    """The label `source` of tetrapy_btf_source_info, which is 1."""
    found = re.search(
        r'^tetrapy_btf_source_info\{kind="\w+",source="(.*)"\} 1\.0$', text, re.MULTILINE
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
    assert f'version="{release.strip()}"}} 1.0' in text
    assert told_source(text) == info["btf_source"]
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


def test_a_busy_port(run) -> None:
    """The address, the reason and the flag are in the one line of the error."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        at = f"127.0.0.1:{busy.getsockname()[1]}"
        line = assert_one_line(run(PYZ, "--metrics-server", at))
    assert f"metrics cannot be served at {at}: Address already in use" in line
    assert "--metrics-server" in line


def test_no_address(run) -> None:
    """What is no address is wrong use, also in the environment."""
    done = run(PYZ, environment={"TETRAPY_METRICS_SERVER": "2112"})
    assert done.returncode == 1
    assert 'TETRAPY_METRICS_SERVER: metrics-server is "2112"' in done.stderr


def test_nothing_listens_unasked(tmp_path: Path) -> None:
    """Without the setting there is no thread beside the first, and the log names no server."""
    with Agent(tmp_path, code=PYZ) as agent:
        agent.started()
        assert len(list(Path(f"/proc/{agent.pid}/task").iterdir())) == 1
        assert agent.stop() == 0
    assert "metrics server" not in agent.log
