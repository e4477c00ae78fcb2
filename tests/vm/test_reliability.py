# SPDX-License-Identifier: Apache-2.0
"""What is lost is reported, to the last event: measured where nothing else runs."""

from __future__ import annotations

import pytest

from bench.reliability import burst, guest, stop


@pytest.mark.parametrize(
    "kernel", [pytest.param(name, marks=pytest.mark.matrix) for name in ("5.10", "6.1", "7")]
)
def test_losses_add_up(kernel: str) -> None:
    """Told and lost together are every exec and exit; log, last words and metrics agree."""
    assert stop.failures(guest.measure(kernel, seconds=1), alone=True) == []


@pytest.mark.parametrize(
    "kernel", [pytest.param(name, marks=pytest.mark.matrix) for name in ("6.18", "7.1", "7")]
)
def test_bursts_are_reported(kernel: str) -> None:
    """Nothing is lost or told twice, although on Linux 7 tasks are preempted in the programs."""
    assert burst.failures(guest.burst_of(kernel, bursts=4)) == []
