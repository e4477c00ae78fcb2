"""Metrics: the text, and the agent that serves it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tests.support.agent import until
from tests.unit.agent_run import FakeSensor, Run
from tests.unit.metrics_server import HERE, Server, fetch
from tetrapy.btf.source import KIND_ARCHIVE, BtfSource
from tetrapy.config.address import Address
from tetrapy.errors import MetricsError
from tetrapy.metrics.about import About
from tetrapy.metrics.listener import listen
from tetrapy.version import __version__


def test_the_text() -> None:
    """Prometheus's text format with the two figures and nothing else."""
    serving = Server()
    try:
        status, kind, body = serving.get()
    finally:
        serving.server.close()
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    labels = f'commit="",go_version="",modified="",time="",version="{__version__}"'
    origin = "inferred from debian/12/x86_64/6.1.0-18-amd64"
    assert body.splitlines() == [
        "# HELP tetragon_build_info Build information about tetrapy",
        "# TYPE tetragon_build_info gauge",
        f"tetragon_build_info{{{labels}}} 1.0",
        "# HELP tetrapy_btf_source_info Where the kernel's types (BTF) come from",
        "# TYPE tetrapy_btf_source_info gauge",
        f'tetrapy_btf_source_info{{kind="inferred",source="{origin}"}} 1.0',
    ]


def source_label(source: BtfSource) -> str:
    """The label of the source as a reader of the text format understands it."""
    serving = Server(About(source))
    try:
        families = {f.name: f for f in text_string_to_metric_families(serving.get()[2])}
    finally:
        serving.server.close()
    (sample,) = families["tetrapy_btf_source_info"].samples
    assert sample.labels["kind"] == source.kind
    return sample.labels["source"]


def test_the_source_is_told_as_in_the_log() -> None:
    """The label is BtfSource's own line, whatever the kind."""
    source = BtfSource(KIND_ARCHIVE, "debian/10/x86_64/4.19.0-5-amd64", b"")
    assert source_label(source) == source.told


def test_a_path_of_any_bytes() -> None:
    """A path that is no UTF-8, with quotes and line feeds, keeps the text readable."""
    path = os.fsdecode(b'/a"b\\c\nd\xff')
    assert source_label(BtfSource("user", path, b"")) == 'user: /a"b\\c\nd\ufffd'


class Broken(Collector):
    """A collector that raises when it is asked."""

    def collect(self) -> Iterator[Metric]:
        if threading.current_thread().name == "metrics":
            raise KeyError("no such map")
        return iter(())


def test_a_figure_that_cannot_be_had() -> None:
    """It is an error of this request and a line in the log; the server goes on."""
    serving = Server(Broken())
    try:
        assert [serving.get()[0] for _ in range(2)] == [500, 500]
        assert serving.get("/")[0] == 404
    finally:
        serving.server.close()
    lines = [line for line in serving.log.lines if line[0] == "error"]
    text = {"error": "KeyError('no such map')"}
    assert lines == [("error", "Metrics cannot be gathered", text)] * 2


# --- in the agent --------------------------------------------------------------------------------


class Scraped(FakeSensor):
    """Asks for the metrics in the midst of the run."""

    def __init__(self, ask: Callable[[], None]) -> None:
        super().__init__([])
        self.ask = ask

    def drain(self, limit: int, everything: bool = False) -> list[bytes]:
        if "detach" not in self.course:
            self.ask()
        return super().drain(limit, everything)


def test_an_agent_with_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It serves while it watches, its info file has the setting, and all is given back."""
    run = Run(tmp_path, monkeypatch)
    said: list[str] = []

    def ask() -> None:
        address = run.log.keys_of("Starting metrics server")["addr"]
        said.append(fetch(Address.parse(address))[2])
        said.append((tmp_path / "run/tetrapy-info.json").read_text())

    before = len(os.listdir("/proc/self/fd"))
    run(Scraped(ask), f"--metrics-server={HERE}")
    assert 'tetrapy_btf_source_info{kind="kernel",source="kernel: here"} 1.0' in said[0]
    assert f'"metrics_address": "{HERE}"' in said[1]
    assert len(os.listdir("/proc/self/fd")) == before
    until(lambda: threading.active_count() == 1, "the end of the thread")


def test_an_agent_that_cannot_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is loaded, nothing left behind."""
    run = Run(tmp_path, monkeypatch)
    sensor = FakeSensor([])
    with listen(Address.parse(HERE)) as busy:
        address = Address(*busy.getsockname())
        with pytest.raises(MetricsError, match=str(address)):
            run(sensor, f"--metrics-server={address}")
    assert sensor.course == []
    assert os.listdir(tmp_path / "run") == []


def test_a_python_without_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that was built without ssl says so in one line, and only when metrics are asked."""
    run = Run(tmp_path, monkeypatch)
    for name in [name for name in sys.modules if name.startswith("prometheus_client")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("tetrapy.metrics.about", "tetrapy.metrics.server"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ssl", None)
    with pytest.raises(MetricsError, match=r"metrics cannot be served: .*\bssl\b"):
        run(FakeSensor([]), f"--metrics-server={HERE}")
    run(FakeSensor([]))
    assert "Listening for events..." in run.log.messages


def test_who_does_not_ask_does_not_pay() -> None:
    """A start without the setting imports neither the room nor prometheus_client."""
    program = (
        "import sys, tetrapy.cli.main, tetrapy.daemon.agent\n"
        "from tetrapy.config.sources import read\n"
        "read([], {})\n"
        "print([name for name in ('tetrapy.metrics', 'tetrapy.config.address', 'prometheus_client')"
        " if name in sys.modules])"
    )
    agent = str(Path(__file__).resolve().parents[2] / "agent")
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": agent, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stdout == "[]\n"
