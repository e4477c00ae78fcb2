# SPDX-License-Identifier: Apache-2.0
"""Events that the kernel could not deliver are counted, told and add up."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kernel.conftest import FLAVOURS
from tests.support.agent import Agent

pytestmark = pytest.mark.alone

COUNT = 1500

# A ring buffer of one page, and the smallest perf buffers.
both_flavours = pytest.mark.parametrize("flavour", FLAVOURS)


@both_flavours
def test_lost(tmp_path: Path, actor: Path, flavour: str) -> None:
    """What a stopped agent cannot take is counted by kind; received and lost are all there was."""
    tag = f"lost-{flavour}"
    with Agent(tmp_path / "witness") as witness, ExitStack() as stack:
        witness.started()
        mark = witness.fence()
        tiny = Agent(tmp_path / "tiny", "--rb-size-total", "4K", *FLAVOURS[flavour])
        agent = stack.enter_context(tiny).started()
        agent.send(signal.SIGSTOP)
        subprocess.run([actor, tag, "storm", str(COUNT), actor], check=True)
        agent.send(signal.SIGCONT)
        assert agent.stop() == 0
        seen = witness.events()[:]
        witness.fence()
        seen = witness.events(mark)
        assert witness.stop() == 0
    assert witness.statistics()["lost"] == 0
    lost = agent.losses()
    statistics = agent.statistics()
    assert statistics["lost"] == sum(lost.values())
    assert statistics["errors"] == 0
    # An exit whose exec was lost is reported without a name, so processes are told by their pids.
    pids = {event.pid for event in seen if event.is_of(tag)}
    own = [event for event in agent.events() if event.pid in pids]
    for kind in ("exec", "exit"):
        others = sum(event.kind == kind and event.pid not in pids for event in seen)
        received = sum(event.kind == kind for event in own)
        assert received + lost[kind] >= COUNT + 1, kind
        assert received + lost[kind] <= COUNT + 1 + others, kind
    share = re.search(r"BPF events statistics: (\d+) received, ([\d.e+]+)% events loss", agent.log)
    assert share
    received = int(share[1])
    assert received == statistics["received"]
    expected = 100 * statistics["lost"] / (received + statistics["lost"])
    assert float(share[2]) == pytest.approx(expected, rel=0.05)


def test_arguments_lost(tmp_path: Path, actor: Path) -> None:
    """An exec with long arguments is lost whole, or else what is missing is said."""
    tag = "argslost"
    with Agent(tmp_path, "--rb-size-total", "64K") as agent:
        agent.started()
        agent.send(signal.SIGSTOP)
        for _ in range(20):
            subprocess.run([actor, tag, "exit", "0", "x" * 30_000], check=True)
        agent.send(signal.SIGCONT)
        assert agent.stop() == 0
    lost = agent.losses()
    assert lost.get("exec", 0) > 0
    images = [e for e in agent.events() if e.kind == "exec" and e.binary == str(actor)]
    whole = f"{tag} exit 0 " + "x" * 30_000
    for image in images:
        assert (image.arguments == whole) != ("errorArgs" in image.flags)
    reported = sum(image.arguments == whole or "errorArgs" in image.flags for image in images)
    assert reported == len(images)


def test_recovers(tmp_path: Path, actor: Path) -> None:
    """After a loss the next events are reported again, with their parents."""
    with Agent(tmp_path, "--rb-size-total", "64K") as agent:
        agent.started()
        agent.send(signal.SIGSTOP)
        subprocess.run([actor, "before", "storm", str(COUNT), actor], check=True)
        agent.send(signal.SIGCONT)
        agent.fence()
        done = [actor, "afterwards", "fork", "exec", actor, "afterwards", "exit", "3"]
        subprocess.run(done, check=True)
        reported = agent.tagged("afterwards")
        assert agent.stop() == 0
    parent, child, child_end, parent_end = reported
    assert child.parent == parent.process
    assert child_end.status == 3
    assert parent_end.id == parent.id
