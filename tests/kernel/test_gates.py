# SPDX-License-Identifier: Apache-2.0
"""Gates of the programs: each event goes through one, the first that the kernel does not skip."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.watch import Watch
from tetrapy.btf.source import KIND_KERNEL, BtfSource
from tetrapy.config.sources import read
from tetrapy.daemon.start import load_sensor, sensor_options
from tetrapy.kernel import features, kfuncs
from tetrapy.process.details import Wanted
from tetrapy.sensors.configuration import GATES, GUARDED_GATES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOOKS = ("exec", "fork", "exit")
RUNS = 20


@pytest.fixture(params=[True, False], ids=["preemptible", "not preemptible"])
def preemptible(request: pytest.FixtureRequest) -> bool:
    """Whether a task may be preempted between gate and end: it may where kfuncs are not known."""
    if not request.param and kfuncs.find(kfuncs.PREEMPTION) is None:
        pytest.skip("needs a kernel with these functions: Linux 6.14")
    return bool(request.param)


@pytest.fixture(params=[True, False], ids=["ring", "perf"])
def watch(request: pytest.FixtureRequest, preemptible: bool) -> Iterator[Watch]:
    """A sensor with gates, on whatever kernel."""
    gates = GATES if preemptible else GUARDED_GATES
    with Watch(ring=request.param, gates=gates, preemptible=preemptible) as made:
        yield made


def test_a_kernel_that_refuses_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Functions that programs may not call cost the functions, not the agent."""
    not_callable = kfuncs.find({"vfs_read": kfuncs.PREEMPTION["bpf_preempt_disable"]})
    assert not_callable is not None
    monkeypatch.setattr(features, "preempts_programs", lambda _: True)
    monkeypatch.setattr(kfuncs, "find", lambda _: not_callable)
    logged: list[tuple[str, str]] = []
    sensor = load_sensor(
        sensor_options(read(["--export-filename=-"], {}), Wanted(), None),
        BtfSource(KIND_KERNEL, "/sys/kernel/btf/vmlinux"),
        lambda level, text, **_: logged.append((level, text)),
        str(tmp_path),
    )
    try:
        sensor.attach()
        warnings = [text for level, text in logged if level == "warn"]
        assert [text[:60] for text in warnings] == [
            "The kernel does not let BPF programs call its functions, so "
        ]
    finally:
        sensor.close()


def skip(watch: Watch, gates: int) -> None:
    """Have the first gates miss everything, as where a task is preempted in each of them.

    Execs last: what goes on meanwhile is reported of a process that is known.
    """
    for hook in reversed(HOOKS):
        for number in range(gates):
            watch.sensor._sensor.object.detach(f"on_{hook}_gate{number}")


def rescued(watch: Watch) -> list[int]:
    """Execs, forks and exits that a later gate let in."""
    sensor = watch.sensor
    counters, numbers = sensor._read_counters(), sensor._counters
    return [counters[numbers[f"COUNT_{hook.upper()}_RESCUED"]] for hook in HOOKS]


def lives(watch: Watch, actor: Path) -> None:
    """Processes with threads and a second image: told once each, in order."""
    tag = f"gates-{os.getpid()}"  # the sensor sees the whole machine
    pids = [watch.run(actor, tag, "threads", 2, "exec", actor, tag, "exit", 0) for _ in range(RUNS)]
    reported = [(event.process.pid, event.name) for event in watch.of(tag)]
    kinds = ["process_exec", "process_exec", "process_exit"]
    assert reported == [(pid, kind) for pid in pids for kind in kinds]


def test_the_first_gate_is_enough(watch: Watch, actor: Path) -> None:
    """Where nothing is skipped the later gates let nothing in."""
    lives(watch, actor)
    assert rescued(watch) == [0, 0, 0]
    assert sum(watch.sensor.losses().values()) == 0


@pytest.mark.parametrize("left", [1, 2, GUARDED_GATES - 1])
def test_a_later_one_lets_in_what_is_skipped(watch: Watch, actor: Path, left: int) -> None:
    """Whatever the first gates miss goes through the next one, once; so many are left."""
    skip(watch, len(watch.sensor._attached["exec"]) - left)
    lives(watch, actor)
    execs, forks, exits = rescued(watch)
    assert execs >= 2 * RUNS
    assert forks >= 3 * RUNS
    assert exits >= 3 * RUNS


def test_a_deep_directory(watch: Watch, actor: Path, tmp_path: Path) -> None:
    """Programs that go on where another one leaves off find its buffer, whatever the gate."""
    deep = tmp_path / "/".join("deep" for _ in range(120))
    deep.mkdir(parents=True)
    tag = f"gates-deep-{os.getpid()}"
    for gates in (0, 1):
        skip(watch, gates)
        watch.run(actor, tag, "chdir", deep, "exec", actor, tag, "exit", 0)
    reported = [event for event in watch.of(tag) if event.name == "process_exec"]
    assert [event.process.cwd for event in reported[1::2]] == [str(deep)] * 2
