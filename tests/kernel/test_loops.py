# SPDX-License-Identifier: Apache-2.0
"""Both kinds of loop of the base programs: bounded ones, and those by bpf_loop() (Linux 5.17)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.watch import Watch
from tetrapy.btf.source import KIND_KERNEL, BtfSource
from tetrapy.config.sources import read
from tetrapy.daemon import start
from tetrapy.errors import NotLoadedError
from tetrapy.kernel import features
from tetrapy.process.details import Wanted
from tetrapy.sensors.base import BaseSource

if TYPE_CHECKING:
    from pathlib import Path

    from tetrapy.sensors.options import SensorOptions

VERIFIED = {False: 80_000, True: 16_000}  # instructions that a verifier may walk over


@pytest.fixture(autouse=True)
def has_loops() -> None:
    """Both kinds load."""
    if not features.LOOPS.is_there:
        pytest.skip("needs a kernel with bpf_loop(): Linux 5.17")


@pytest.mark.parametrize("ring", [True, False], ids=["ring", "perf"])
@pytest.mark.parametrize("loops", [False, True], ids=["bounded", "bpf_loop"])
def test_long_ways(tmp_path: Path, loops: bool, ring: bool) -> None:
    """A deep directory, a deep file and long arguments are told alike; a start stays cheap."""
    deep = tmp_path.joinpath(*["d"] * 400)
    deep.mkdir(parents=True)
    script = deep / "script"
    script.write_text(f"#!/bin/sh\nexec /bin/true {tmp_path.name}-loop $2\n")
    script.chmod(0o700)
    with Watch(loops=loops, ring=ring) as watch:
        sensor = watch.sensor
        verified = sum(sensor._sensor.info(name).verified for name in sensor._sensor.fds)
        assert verified < VERIFIED[loops]
        long = "x" * 100_000
        watch.run("/bin/sh", "-c", f"cd {deep} && exec ./script first $0", long)
        (first,) = watch.of("./script", "exec")
        (second,) = watch.of(f"{tmp_path.name}-loop", "exec")
    assert first.process.binary == str(script)
    assert first.process.arguments == f"./script first {long}"
    assert second.process.arguments == f"{tmp_path.name}-loop {long}"
    assert first.process.cwd == second.process.cwd == str(deep)


@pytest.mark.parametrize(
    ("refused", "tried"),
    [
        ("executables", [(True, True), (True, False)]),
        ("loops", [(True, True), (True, False), (False, False)]),
    ],
)
def test_a_kernel_that_refuses_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refused: str, tried: list[tuple[bool, bool]]
) -> None:
    """One that has the helper and takes no functions beside tail calls gets the bounded loops, one
    without iterators none.
    """
    asked = []

    def load(options: SensorOptions) -> BaseSource:
        asked.append((options.loops, options.executables))
        if getattr(options, refused):
            raise NotLoadedError("not allowed", 22)
        return BaseSource(options)

    monkeypatch.setattr(start, "BaseSource", load)
    options = start.sensor_options(read(["--export-filename=-"], {}), Wanted(), None)
    kernel = BtfSource(KIND_KERNEL, "/sys/kernel/btf/vmlinux")
    sensor = start.load_sensor(options, kernel, lambda *_, **__: None, str(tmp_path))
    fds = sensor._sensor.fds
    sensor.close()
    assert asked == tried
    walk = "on_exec_deep" if refused == "loops" else "on_exec_loop"
    assert {"on_exec_deep", "on_exec_loop", "list_unexecuted"} & set(fds) == {walk}
