# SPDX-License-Identifier: Apache-2.0
"""A cgroup that makes more events than it may."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.watch import Watch
from tetrapy.kernel.cgroups import host_controller

pytestmark = pytest.mark.alone

LIMIT = 10
HOUR = 3600 * 10**9


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup of the test's own."""
    root = Path("/sys/fs/cgroup", host_controller("/proc") or "")
    path = root / f"tetrapy-test-{os.getpid()}"
    try:
        path.mkdir()
    except OSError as err:
        pytest.skip(f"needs a cgroup: {err}")
    yield path
    path.rmdir()


@pytest.fixture(params=[True, False], ids=["ring", "perf"])
def watch(request: pytest.FixtureRequest) -> Iterator[Watch]:
    with Watch(ring=request.param, rate=(LIMIT, HOUR)) as made:
        yield made


def run_in(cgroup: Path, actor: Path, tag: str, count: int) -> None:
    """So many commands, one after the other, from a shell in the cgroup."""
    script = f"echo $$ > {cgroup}/cgroup.procs; i=0; while [ $i -lt {count} ]; do "
    script += f"{actor} {tag} exit 0; i=$((i+1)); done; exit 0"
    subprocess.run(["/bin/sh", "-c", script], check=True)


def throttles(watch: Watch, cgroup: Path) -> list[str]:
    found = [event for event in watch.events if event.name == "process_throttle"]
    return [event.action for event in found if event.cgroup == cgroup.name]


def test_a_cgroup_that_exceeds_its_limit(watch: Watch, cgroup: Path, actor: Path) -> None:
    """It is reported once; then the kernel makes no records of its execs, until it was quiet."""
    run_in(cgroup, actor, "tag", 40)
    outside(watch)
    assert throttles(watch, cgroup) == ["THROTTLE_START"]
    execs = watch.of("tag", "exec")
    assert 0 < len(execs) <= LIMIT
    assert len(watch.of("tag", "exit")) == len(execs)
    assert watch.sensor.suppressed()["PROCESS_EXEC"] >= 40 - LIMIT
    assert watch.later(4.0) == []
    watch.later(6.0)
    assert throttles(watch, cgroup) == ["THROTTLE_START", "THROTTLE_STOP"]


def test_others_are_not_concerned(watch: Watch, cgroup: Path, actor: Path) -> None:
    """A cgroup that keeps to its limit is reported whole."""
    run_in(cgroup, actor, "quiet", LIMIT // 2 - 2)
    outside(watch)
    assert throttles(watch, cgroup) == []
    assert len(watch.of("quiet")) == 2 * (LIMIT // 2 - 2)


def outside(watch: Watch) -> None:
    """Have all be reported: the tests' own cgroup may be throttled too, so the fence cannot be
    used.
    """
    watch.take(everything=True)
