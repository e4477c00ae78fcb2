# SPDX-License-Identifier: Apache-2.0
"""What is gone is forgotten: memory does not grow with the number of processes that ever were."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.kernel.conftest import FLAVOURS
from tests.support.agent import Agent
from tests.support.policy_agent import listed, policy, started

pytestmark = pytest.mark.alone

# A process that is never forgotten costs about 2 KiB.
ROOM = 3 << 20


def resident(agent: Agent) -> int:
    """Bytes of memory, as soon as the agent has told of all that happened."""
    agent.fence()
    for line in Path(f"/proc/{agent.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError


@pytest.mark.parametrize(
    "words",
    [("storm", "1000"), ("forks", "1000"), ("countdown", "500")],
    ids=lambda words: words[0],
)
def test_nothing_is_kept(tmp_path: Path, actor: Path, words: tuple[str, str]) -> None:
    """After thousands of processes more the agent is as large as before."""
    what, count = words
    with Agent(tmp_path, "--rb-size-total", "8M") as agent:
        agent.started()

        def load(factor: int) -> int:
            number = str(int(count) * factor)
            command = {
                "storm": [number, actor],
                "forks": [number],
                "countdown": [actor, number],
            }[what]
            subprocess.run([actor, "load", what, *command], check=True)
            return resident(agent)

        first = load(1)
        second = load(4)
        assert agent.stop() == 0
    assert second - first < ROOM
    assert agent.statistics()["errors"] == 0


def test_no_huge_page_is_given(tmp_path: Path) -> None:
    """Each would be 2 MiB, however little of it is in use; the kernel says so from 5.0 on."""
    with Agent(tmp_path) as agent:
        agent.started()
        status = Path(f"/proc/{agent.pid}/status").read_text(encoding="utf-8")
        assert agent.stop() == 0
    assert "THP_enabled:\t0" in status or "THP_enabled" not in status


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_start_is_small(tmp_path: Path, flavour: str) -> None:
    """A run without load fits into the memory that was promised (36 MB)."""
    with Agent(tmp_path, *FLAVOURS[flavour]) as agent:
        agent.started()
        size = resident(agent)
        assert agent.stop() == 0
    assert size < 40 << 20


@pytest.mark.skipif(not Path("/sys/kernel/btf/vmlinux").exists(), reason="no BTF in the kernel")
def test_types_of_the_kernel_are_given_back(tmp_path: Path) -> None:
    """A policy with `resolve` has them read, which takes 20 MB, and not for longer."""
    hook = {
        "subsystem": "sched",
        "event": "sched_process_exit",
        "raw": True,
        "args": [{"index": 0, "type": "int", "resolve": "pid"}],
        "selectors": [{"matchArgs": [{"index": 0, "operator": "Equal", "values": ["1"]}]}],
    }
    with started(tmp_path / "a", resolve=policy("resolve", {"tracepoints": [hook]})) as agent:
        agent.started()
        (one,) = listed(agent)
        size = resident(agent)
        assert agent.stop() == 0
    assert one["state"] == "enabled"
    assert size < 40 << 20
