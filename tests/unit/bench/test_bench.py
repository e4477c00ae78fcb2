# SPDX-License-Identifier: Apache-2.0
"""How the bench counts events, map memory and what is over budget."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import budget
from bench.figures import FIGURES, map_bytes, missing_lines
from tools.errors import BuildError
from tools.fetch import ROOT
from tools.guest import qemu

pytestmark = pytest.mark.slow

LANDED = dict.fromkeys(FIGURES, 1000.0)


def line(kind: str, arguments: str) -> bytes:
    body = {kind: {"process": {"pid": 1, "arguments": arguments}, "parent": {"arguments": "x 0"}}}
    return json.dumps(body, separators=(",", ":")).encode()


def test_each_process_of_a_load_needs_one_line_of_each_kind() -> None:
    """Lines that are absent or double are named; those of other loads do not count."""
    export = [
        line("process_exec", "x 0"),
        line("process_exit", "x 0"),
        line("process_exec", "x 1"),
        line("process_exec", "x 1"),
        line("process_exit", "y 1"),
    ]
    assert missing_lines(export, "x", 2) == [
        "process_exec of 'x 1': 2 lines",
        "process_exit of 'x 1': 0 lines",
    ]


def test_a_map_counts_once_and_a_ring_buffer_with_its_size() -> None:
    """Several descriptors of one map are one map; a ring buffer's memlock may be 0."""
    ring = {"map_id": "1", "map_type": "27", "memlock": "0", "max_entries": "8192"}
    array = {"map_id": "2", "map_type": "2", "memlock": "4096", "max_entries": "1"}
    assert map_bytes([ring, array, ring, {"prog_id": "3", "memlock": "4096"}]) == 12288


@pytest.mark.parametrize(("value", "over"), [(1050.0, []), (1051.0, ["added"])])
def test_five_percent_over_the_landed_figure_is_over_budget(value: float, over: list[str]) -> None:
    """A figure may rise by 5 %, and not by more."""
    lines = budget.Budget(1, LANDED).exceeded({**LANDED, "added": value})
    assert [text.split(" ")[0] for text in lines] == over


@pytest.mark.parametrize(("value", "over"), [(9400, 0), (9600, 1)])
def test_a_small_difference_of_large_loads_has_its_slack(value: float, over: int) -> None:
    """A fraction of a percent of the loads is more than five percent of it."""
    landed = {"denied_in_kernel": 8000}
    assert len(budget.Budget(1, landed).exceeded({"denied_in_kernel": value})) == over


def test_the_budget_has_every_figure() -> None:
    """No figure is measured without a budget, none budgeted that is not measured."""
    assert set(budget.read().figures) == set(FIGURES)


@pytest.mark.parametrize(
    ("module", "words", "said"),
    [
        ("bench.driver", [], "runs inside the guest"),
        ("bench.ranking", [], "runs inside the guest"),
        ("bench.guest", [], "bench.guest: "),
        ("bench.btf", [], "bench.btf: no BPF objects"),
        ("bench.host", [], "bench.host: "),
        ("bench.connector", [], "bench.connector: "),
        ("bench.replay", [], "bench.replay: "),
        ("bench.reliability", ["storm"], "bench.reliability: there is no"),
        ("bench.reliability.guest", ["stop"], "bench.reliability.guest: "),
    ],
)
def test_without_a_build_a_bench_says_one_sentence(
    tmp_path: Path, module: str, words: list[str], said: str
) -> None:
    """In a fresh checkout: what is missing and what to do, and no traceback."""
    for name in ("agent", "bench", "tools", "btfs", "bpf"):
        (tmp_path / name).mkdir()
        # What is built here is behind a link of the agent, which leads nowhere there.
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, dirs_exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode in {1, 2}
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_qemu_a_guest_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that a file is not there."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BuildError, match=r"qemu-system-x86_64 is not here; .*tools\.setup test"):
        qemu._found("qemu-system-x86_64")
