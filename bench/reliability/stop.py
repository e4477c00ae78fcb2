# SPDX-License-Identifier: Apache-2.0
"""An agent that is stopped under load until its buffer overflows: is what is lost reported?"""

from __future__ import annotations

import re
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

from bench.reliability.loads import Loads
from bench.reliability.reader import KINDS, Tally
from bench.reliability.watched import Watched, free_port

# A buffer that a second of load fills.
FLAGS = ("--rb-size-total=512K", "--export-file-max-size-mb=1000")

_PROCESSES, _WIDTH = 1000, 8
_SHORT = {"process_exec": "exec", "process_exit": "exit"}
# Label msg_op -> kind of records; docs/metrics.md has all of them.
_OPCODES = {
    "5": "exec",
    "7": "exit",
    "13": "call",
    "23": "fork",
    "24": "args",
    "27": "throttle",
}
_FULL = re.compile(r'^tetragon_bpf_missed_events_total\{.*msg_op="(\d+)".*\} (\d+)', re.MULTILINE)
_SKIPPED = re.compile(
    r'^tetragon_missed_prog_probes_total\{attach="sched_process_(\w+)".*\} (\d+)', re.MULTILINE
)


def stop(
    pyz: Path, directory: Path, loads: Loads, seconds: float, flags: list[str]
) -> dict[str, Any]:
    """Stop it for so long; the figures. Raises BuildError."""
    port = free_port()
    tally = Tally()
    with Watched(pyz, directory, *FLAGS, f"--metrics-server=127.0.0.1:{port}", *flags) as agent:
        agent.listening()
        agent.wait_for_one(loads)
        mark = len(agent.export.read_bytes())
        execs, exits = loads.execs, loads.exits
        agent.process.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        turn = 0
        while time.monotonic() - begin < seconds or turn < 5:
            tag = loads.tag("stop", turn)
            loads.run(_PROCESSES, _WIDTH, tag)
            tally.expect(tag, _PROCESSES)
            turn += 1
        lasted = time.monotonic() - begin
        agent.process.send_signal(signal.SIGCONT)
        agent.wait_for_one(loads)
        made = {"process_exec": loads.execs - execs, "process_exit": loads.exits - exits}
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            metrics = _losses(answer.read().decode())
        code = agent.stop()
        last = agent.statistics()
        reported = agent.reported_losses()
    tally.read(agent.export, mark)
    figures: dict[str, Any] = {"seconds": lasted, "processes of the load": turn * _PROCESSES}
    for kind in KINDS:
        short = _SHORT[kind]
        figures |= {
            f"{short}: made by what this started": made[kind],
            f"{short}: reported, of all processes": tally.kinds[kind],
            f"{short}: of the load, missing": len(tally.missing(kind)),
            f"{short}: of the load, repeated": len(tally.repeated(kind)),
            f"{short}: lost, says the log": reported.get(short, 0),
            f"{short}: lost, say the metrics": metrics.get(short, 0),
            f"{short}: reported + lost - made": tally.kinds[kind]
            + reported.get(short, 0)
            - made[kind],
        }
    return {
        **figures,
        "lost, all kinds, says the log": sum(reported.values()),
        "lost, say the last words": last["lost"],
        "lost, say the metrics": sum(metrics.values()),
        "lines broken": len(tally.broken),
        "exit code": code,
    }


def failures(figures: dict[str, Any], *, alone: bool = False) -> list[str]:
    """What is wrong; `alone`: no other process started or ended meanwhile."""
    found = [f"{name}: {figures[name]}" for name in ("lines broken", "exit code") if figures[name]]
    log, words, metrics = (
        figures[f"lost, {where}"]
        for where in ("all kinds, says the log", "say the last words", "say the metrics")
    )
    if not log == words == metrics:
        found.append(f"log, last words and metrics differ: {log}, {words}, {metrics}")
    if not log:
        found.append("the buffer did not overflow: nothing was measured")
    for short in _SHORT.values():
        if figures[f"{short}: of the load, repeated"]:
            found.append(f"{short}: reported twice")
        # Other processes make and lose events too; then the sum is larger, never smaller.
        more = figures[f"{short}: reported + lost - made"]
        if more < 0 or (alone and more):
            found.append(f"{short}: reported and lost are {more:+} beside what was made")
    lost_execs = figures["exec: lost, says the log"]
    if figures["exec: of the load, missing"] > lost_execs:
        found.append(f"exec: more missing than the {lost_execs} that the log tells")
    return found


def _losses(metrics: str) -> dict[str, int]:
    """Kind -> records lost, of the text that the metrics server gives."""
    found: dict[str, int] = {}
    for opcode, count in _FULL.findall(metrics):
        found[_OPCODES[opcode]] = found.get(_OPCODES[opcode], 0) + int(count)
    for kind, count in _SKIPPED.findall(metrics):
        found[kind] = found.get(kind, 0) + int(count)
    return found
