# SPDX-License-Identifier: Apache-2.0
"""Policies that act have no gap: while they change, and while the agent is away. In guests only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.compile import program
from tests.vm.guests import PYZ
from tools.guest import kernels, qemu


def answer(*words: str) -> Any:
    """What tests/vm/staying.py says."""
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/test/staying.py": Path(__file__).with_name("staying.py"),
        "/test/hammer": program("hammer"),
    }
    script = f"python3 /test/staying.py {' '.join(words)} >/result/answer 2>/result/errors"
    # A matched call is cheap; two CPUs have calls go on while the agent works.
    result = qemu.run(kernels.get("6.1"), script, files, append="lsm=bpf", smp=2)
    log = result.files["log"].decode(errors="replace")
    assert result.files["errors"] == b"", result.files["errors"].decode() + log
    print(log)
    return json.loads(result.files["answer"])


@pytest.mark.matrix
def test_no_call_gets_through() -> None:
    """Neither while the policy's file changes, nor while the agent is stopped, killed, started."""
    got = answer("changes", "100000")
    print(got)
    calls, through = got["changed"]
    assert (calls >= 100_000, through) == (True, 0), (
        f"while the file changed {got['changes']} times"
    )
    calls, through = got["restarted"]
    assert (calls > 0, through) == (True, 0)
    calls, through = got["spoilt"]
    assert (calls > 0, through, got["told"]) == (True, 0, 1)
    # Nothing heaps up, and what is left behind is that of one policy.
    assert got["after_changes"] == got["after_restarts"] == got["one"]
    assert got["one"]["pinned"] == got["stopped"]["pinned"] == 1
    assert got["stopped"]["links"] == got["before"]["links"] + 2
    # What is gone is gone: with its file, at the next start, for an agent without the setting.
    assert got["gone"]
    assert got["after_gone"]["pinned"] == 0
    assert not got["kept_without_file"]
    assert got["start_without_file"]
    assert got["without_flag"]["pinned"] == 0
    assert got["end_without_flag"]
    assert got["end"] == got["before"]
    assert not got["left"]


@pytest.mark.matrix
@pytest.mark.parametrize("seed", range(10))
def test_an_agent_that_is_killed_200_times(seed: int) -> None:
    """20 times in each guest: nothing is half attached, lost that stays, or left that goes."""
    kills, calls, wrong = answer("kills", "20", "12", str(seed))
    print(kills, calls)
    assert (kills, wrong) == (20, [])
