# SPDX-License-Identifier: Apache-2.0
"""Metrics: the text, and the agent that serves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.agent import until
from tests.support.agent_run import FakeSensor, Run
from tests.support.metrics_server import HERE, Server, fetch
from tests.support.paths import ROOT
from tests.support.records import SECOND, Task, execute, exit_of, fork
from tests.unit.metrics.metrics_sources import read, series
from tetrapy.btf.source import KIND_ARCHIVE, BtfSource
from tetrapy.config.address import Address
from tetrapy.metrics import family, http
from tetrapy.metrics.collectors import About
from tetrapy.metrics.family import Metric
from tetrapy.metrics.server import Figures, listen
from tetrapy.version import __version__


def test_the_text() -> None:
    """Prometheus's text format: first what is asked for, then what every server says."""
    serving = Server()
    try:
        status, kind, body = serving.get()
    finally:
        serving.server.close()
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    labels = f'commit="",go_version="",modified="",time="",version="{__version__}"'
    origin = "inferred from debian/12/x86_64/6.1.0-18-amd64"
    assert body.splitlines()[:6] == [
        "# HELP tetragon_build_info The version of tetrapy; always 1",
        "# TYPE tetragon_build_info gauge",
        f"tetragon_build_info{{{labels}}} 1",
        "# HELP tetrapy_btf_source_info Where the kernel's types (BTF) come from; always 1",
        "# TYPE tetrapy_btf_source_info gauge",
        f'tetrapy_btf_source_info{{kind="inferred",source="{origin}"}} 1',
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


def test_the_source_is_reported_as_in_the_log() -> None:
    """The label is BtfSource's own line, whatever the kind."""
    source = BtfSource(KIND_ARCHIVE, "debian/10/x86_64/4.19.0-5-amd64", b"")
    assert source_label(source) == source.description


def test_a_path_of_any_bytes() -> None:
    """A path that is no UTF-8, with quotes and line feeds, keeps the text readable."""
    path = os.fsdecode(b'/a"b\\c\nd\xff')
    assert source_label(BtfSource("user", path, b"")) == 'user: /a"b\\c\nd\ufffd'


class Broken:
    """A collector that raises at its first two requests."""

    def __init__(self) -> None:
        self.left = 2

    def collect(self) -> Iterator[Metric]:
        if self.left:
            self.left -= 1
            raise KeyError("no such map")
        return iter(())


def test_a_figure_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error of this request, a line in the log and a figure; the server goes on."""
    monkeypatch.setattr(http, "KEPT", 0.0)
    serving = Server(Broken())
    try:
        assert [serving.get()[0] for _ in range(3)] == [500, 500, 200]
        assert 'promhttp_metric_handler_errors_total{cause="gathering"} 2\n' in serving.get()[2]
        assert serving.get("/")[0] == 404
    finally:
        serving.server.close()
    lines = [line for line in serving.log.lines if line[0] == "error"]
    keys = {"path": "/metrics", "error": "KeyError('no such map')"}
    assert lines == [("error", "HTTP request cannot be answered", keys)] * 2


def test_a_figure_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the encoder has its own cause."""
    figures = Figures([])
    monkeypatch.setattr(family, "_number", lambda _: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        figures()
    monkeypatch.undo()
    assert b'promhttp_metric_handler_errors_total{cause="encoding"} 1\n' in figures().body


# --- in the agent --------------------------------------------------------------------------------

INIT = Task(1, SECOND)
CHILD = Task(50, 2 * SECOND)
COMMAND = [fork(CHILD, INIT), execute(CHILD, INIT, path=b"/bin/ls"), exit_of(CHILD)]


class Scraped(FakeSensor):
    """Asks for the metrics when all records are handled."""

    def __init__(self, ask: Callable[[], None]) -> None:
        super().__init__([], COMMAND)
        self.ask = ask

    def drain(self, limit: int, everything: bool = False) -> list[bytes]:
        if not self.batches and "detach" not in self.course:
            self.ask()
        return super().drain(limit, everything)


def test_an_agent_with_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It serves while it watches, its info file has the setting, and all is given back."""
    run = Run(tmp_path, monkeypatch)
    said: list[str] = []
    health: list[tuple[int, str, str]] = []

    def ask() -> None:
        address = Address.parse(run.log.keys_of("Starting metrics server")["addr"])
        said.append(fetch(address)[2])
        said.append((tmp_path / "run/tetrapy-info.json").read_text())
        health.append(fetch(address, "/healthz"))
        own = Address.parse(run.log.keys_of("Starting health server")["addr"])
        health.append(fetch(own, "/healthz"))

    before = len(os.listdir("/proc/self/fd"))
    threads = threading.active_count()  # of whoever runs the tests
    run(Scraped(ask), f"--metrics-server={HERE}", f"--healthz-address={HERE}")
    figures = read(said[0])
    assert figures['tetrapy_btf_source_info{kind="kernel",source="kernel: here"}'] == 1
    assert figures['tetrapy_sensor_info{blind="",sensor="ebpf"}'] == 1
    assert figures['tetragon_msg_op_total{msg_op="23"}'] == 1
    assert figures[series("PROCESS_EXIT", "/bin/ls")] == 1
    assert figures['tetragon_flags_total{type="clone"}'] == 1
    exported = sum(n for name, n in figures.items() if name.startswith("tetragon_events_total"))
    assert figures["tetragon_events_exported_total"] == exported
    assert f'"metrics_address": "{HERE}"' in said[1]
    assert [status for status, _, _ in health] == [200, 200]
    assert json.loads(health[0][2])["received"] == len(COMMAND)
    assert len(os.listdir("/proc/self/fd")) == before
    until(lambda: threading.active_count() <= threads, "the end of the threads")


def test_an_agent_without_figures_of_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting leaves out the group of events, and no other."""
    run = Run(tmp_path, monkeypatch)
    said: list[str] = []

    def ask() -> None:
        address = Address.parse(run.log.keys_of("Starting metrics server")["addr"])
        said.append(fetch(address)[2])

    run(Scraped(ask), f"--metrics-server={HERE}", "--enable-event-metrics=false")
    assert "tetragon_events_total" not in said[0]
    assert read(said[0])['tetragon_flags_total{type="clone"}'] == 1


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["metrics-server", "healthz-address"])
def test_an_agent_that_cannot_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """It says so in the log and goes on: events matter more than their figures."""
    run = Run(tmp_path, monkeypatch)
    with listen(Address.parse(HERE)) as busy:
        address = str(Address(*busy.getsockname()))
        assert run(FakeSensor([], COMMAND), f"--{setting}={address}")
    (error,) = [keys["error"] for level, _, keys in run.log.lines if level == "error"]
    assert address in error
    assert f"--{setting}" in error
    assert "Listening for events..." in run.log.messages


def test_who_does_not_ask_does_not_pay() -> None:
    """A start without the setting does not import the room."""
    program = (
        "import sys, tetrapy.cli.main, tetrapy.daemon.agent\n"
        "from tetrapy.config.sources import read\n"
        "read([], {})\n"
        "print([name for name in ('tetrapy.metrics', 'tetrapy.config.address')"
        " if name in sys.modules])"
    )
    agent = str(ROOT / "agent")
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": agent, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stdout == "[]\n"
