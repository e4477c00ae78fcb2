# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: agents whose policies hook many functions each, and what they saw, as JSON.

/policies has what the agents load. Usage: python3 together.py RUN..., the names of RUNS.
"""

from __future__ import annotations

import collections
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
AGENT = [sys.executable, "/test/tetrapy.pyz"]
KEEP = ["--keep-sensors-on-exit", "--release-pinned-bpf=false"]
PINS = Path("/sys/fs/bpf/tetrapy")
RUNS: dict[str, list[str]] = {
    "one_by_one": ["--disable-kprobe-multi"],
    "staying": KEEP,
    "staying_again": KEEP,
    "plain": [],
}
# Numbers of x86_64 of calls that fail, or do nothing, with a number that nobody else takes.
SEEN = {"getpgid": 121, "getsid": 124, "fdatasync": 75, "sched_getscheduler": 145}
# Of calls that nobody else makes: that of one without arguments, and one that fails.
RARE = {"munlockall": 152, "swapoff": 168}
SEVENS, SIGNALLED = 4301, 4302


def call(name: str, number: int) -> None:
    LIBC.syscall(SEEN[name], number)


def heard(number: int) -> list[int]:
    """The signals that a process hears which makes the first of the calls."""
    came: list[int] = []
    signal.signal(signal.SIGUSR1, lambda signum, _frame: came.append(signum))
    call("getpgid", number)
    signal.sigpending()
    return came


def links(pid: int) -> dict[str, int]:
    """How many links a process has, by their kinds; of perf events before Linux 5.15 none."""
    kinds: collections.Counter[str] = collections.Counter()
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = path.read_text()
        except FileNotFoundError:  # a file that the agent had open for a moment
            continue
        for line in text.splitlines():
            if line.startswith("link_type:"):
                kinds[line.split()[1]] += 1
    return dict(kinds)


def events(path: Path) -> list[list[Any]]:
    """Policy, function, numbers of arguments, and what is returned, of each kprobe's event."""
    found = []
    for line in path.read_bytes().splitlines():
        body = json.loads(line).get("process_kprobe")
        if body:
            numbers = [one.get("int_arg") for one in body.get("args", ())]
            returned = body.get("return", {}).get("int_arg")
            found.append([body["policy_name"], body["function_name"], numbers, returned])
    return found


def listed() -> dict[str, Any]:
    """What the agent says of its policies; it has ten seconds, which may be few here."""
    command = [*AGENT, "policy", "list", "--json", "--counters"]
    for _ in range(6):
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        if not done.returncode:
            found: dict[str, Any] = json.loads(done.stdout)
            return found
    sys.exit("the agent does not answer")


def life(run: str) -> dict[str, Any]:
    """What one agent saw, and says of its policies."""
    export, log = Path(f"/result/events-{run}"), Path(f"/result/log-{run}")
    command = [*AGENT, "--export-filename", str(export), "--sensor", "ebpf", *RUNS[run]]
    command += ["--rb-size-total", "128K", "--tracing-policy-dir", "/policies"]
    with log.open("wb") as output:
        agent = subprocess.Popen(command, stdout=output, stderr=output)
    while b"Listening for events" not in log.read_bytes():
        if agent.poll() is not None:
            sys.exit(f"the agent ended: {agent.returncode}")
        time.sleep(0.05)
    found: dict[str, Any] = {"links": links(agent.pid)}
    for name in SEEN:
        call(name, SEVENS)
    for number in RARE.values():
        LIBC.syscall(number, None)
    found["heard"] = heard(SIGNALLED)
    time.sleep(1)
    found["listed"] = listed()
    agent.send_signal(signal.SIGTERM)
    found["code"] = agent.wait()
    found["events"] = events(export)
    found["heard_after"] = heard(SIGNALLED)
    pinned = collections.Counter(path.name[:4] for path in PINS.glob("run-*/policy-*/*-*"))
    found["pinned"] = len(list(PINS.glob("run-*/*"))), pinned["link"]
    return found


def main() -> None:
    """One agent after the other."""
    json.dump({run: life(run) for run in sys.argv[1:]}, sys.stdout)


if __name__ == "__main__":
    os.makedirs("/result", exist_ok=True)
    main()
