# SPDX-License-Identifier: Apache-2.0
"""Policies beside processes that make it hard: deep paths, no end of calls."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.agent import until
from tests.support.policy_agent import count, opened, policy, started

DEEP = """
import os, shutil, sys
os.chdir(sys.argv[1])
for _ in range(20):
    os.mkdir("d" * 250)
    os.chdir("d" * 250)
shutil.copy("/bin/true", "deep")
os.spawnl(os.P_WAIT, "./deep", "deep")
"""


def test_a_path_that_is_too_deep_evades_no_filter(tmp_path: Path) -> None:
    """Its front cannot be read; it is reported, and flagged."""
    hook = {
        "subsystem": "sched",
        "event": "sched_process_exec",
        "raw": True,
        "args": [{"index": 2, "type": "linux_binprm"}],
        "selectors": [{"matchArgs": [{"index": 2, "operator": "Prefix", "values": ["/nowhere"]}]}],
    }
    with started(tmp_path / "a", a=policy("deep", {"tracepoints": [hook]})) as agent:
        agent.started()
        try:
            subprocess.run([sys.executable, "-Ic", DEEP, str(tmp_path)], check=True)
            until(lambda: count(agent, "process_tracepoint", "deep"), "the event")
        finally:
            subprocess.run(["rm", "-rf", str(tmp_path / ("d" * 250))], check=True)
        (line,) = [one for one in agent.lines() if one.startswith(b'{"process_tracepoint"')]
    told = json.loads(line)["process_tracepoint"]["args"][0]["linux_binprm_arg"]
    assert told["path"].endswith("/deep")
    assert told["flags"] == "unresolvedPathComponents"


def test_a_stop_while_a_policy_has_much_to_report(tmp_path: Path) -> None:
    """Its programs are detached first, so that there is an end to what they report."""
    text = policy("opens", {"tracepoints": [opened(str(tmp_path))]})
    script = f"while :; do read line < {tmp_path}/none; done"
    with started(tmp_path / "a", a=text) as agent:
        agent.started()
        with subprocess.Popen(["sh", "-c", script], stderr=subprocess.DEVNULL) as noisy:
            until(lambda: count(agent, "process_tracepoint", "opens") > 100, "events")
            assert agent.stop() == 0
            noisy.kill()
