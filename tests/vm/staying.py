# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: an agent that comes, goes and is killed while its policies keep calls from a
process; what became of the calls, and what is left in the kernel, as JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
BPF, LINK_GET_NEXT_ID, PROGRAM_GET_NEXT_ID = 321, 31, 11  # numbers of x86_64, enum bpf_cmd
PINS = Path("/sys/fs/bpf/tetrapy")
POLICIES = Path("/policies")
HAMMER = "/test/hammer"  # tests/support/hammer.c, which policies look for
LOG = Path("/result/log")


def spec(**more: Any) -> dict[str, Any]:
    """Keeps a process from asking for its group, silently: at two places, one of which decides."""
    selector = {
        "matchBinaries": [{"operator": "In", "values": [HAMMER]}],
        "matchActions": [{"action": "Override", "argError": -13}, {"action": "NoPost"}],
    }
    silent = {**selector, "matchActions": [{"action": "Signal", "argSig": 17}]}
    return {
        "kprobes": [
            {"call": "security_task_getpgid", "syscall": False, "selectors": [selector], **more},
            {"call": "sys_getsid", "syscall": True, "selectors": [silent]},
        ]
    }


def write(name: str, spaces: int = 0) -> None:
    """The policy's file; one with other spaces is another."""
    document = {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": name},
        "spec": spec(),
    }
    # As editors do: no moment with half a file.
    new = POLICIES / ".new"
    new.write_text(json.dumps(document) + " " * spaces)
    new.rename(POLICIES / f"{name}.yaml")


def ids(command: int) -> list[int]:
    """Of all links, or programs, that the kernel has."""
    found, attributes = [], (ctypes.c_uint32 * 16)()
    while not LIBC.syscall(BPF, command, attributes, ctypes.sizeof(attributes)):
        attributes[0] = attributes[1]
        found.append(attributes[1])
    return found


def counted() -> dict[str, int]:
    """How many links and programs there are, and policies that are pinned."""
    pinned = len(list(PINS.glob("run-*/policy-*")))
    return {
        "links": len(ids(LINK_GET_NEXT_ID)),
        "programs": len(ids(PROGRAM_GET_NEXT_ID)),
        "pinned": pinned,
        "other": len(list(PINS.glob("run-*/*"))) - pinned,
    }


def settled(wanted: dict[str, int]) -> dict[str, int]:
    """What is there once it is as wanted: the kernel frees what is detached a little later."""
    end = time.monotonic() + 60
    while (found := counted()) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    return found


class Agent:
    """A run of the agent."""

    def __init__(self, *flags: str) -> None:
        command = [sys.executable, "/test/tetrapy.pyz", "--export-filename", "/result/events"]
        command += ["--sensor", "ebpf", "--rb-size-total", "128K", *flags]
        command += ["--tracing-policy-dir", str(POLICIES)]
        self.begins = LOG.stat().st_size if LOG.exists() else 0
        with LOG.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def said(self, text: str) -> int:
        """How often its log has it."""
        return LOG.read_text()[self.begins :].count(text)

    def wait_for(self, text: str, times: int = 1) -> None:
        while self.said(text) < times:
            if self.process.poll() is not None:
                raise SystemExit(f"the agent ended, before {text}: {self.process.returncode}")
            time.sleep(0.05)

    def started(self) -> Agent:
        self.wait_for("Listening for events")
        return self

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait()


class Hammer:
    """A process whose calls are all to fail."""

    def __init__(self, least: int = 0) -> None:
        command = [HAMMER, str(least)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.process.stdout is not None
        self.output = self.process.stdout
        assert self.output.readline() == "begins\n"

    @property
    def made_enough(self) -> bool:
        """Whether it has made as many calls as were asked for."""
        return bool(select.select([self.output], [], [], 0)[0])

    def stopped(self) -> list[int]:
        """How many calls it made, and how many were let through."""
        self.process.send_signal(signal.SIGUSR1)
        return [int(word) for word in self.output.read().split() if word != "enough"]


def is_let_through() -> bool:
    """Whether nothing is enforced."""
    calls, through = Hammer(10).stopped()
    assert through in {0, calls}, (calls, through)
    return bool(through)


KEEP = ("--keep-sensors-on-exit", "--release-pinned-bpf=false")


class Changes:
    """The file of a policy changes while calls are made, then the agent comes and goes."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.before = counted()
        write("blocks")
        self.agent = Agent(*KEEP).started()
        self.answer: dict[str, Any] = {"before": self.before, "one": counted()}

    def file_changes(self) -> None:
        """As often as there is time for while so many calls are made, three times at least."""
        hammer, number = Hammer(self.calls), 0
        while number < 3 or not hammer.made_enough:
            number += 1
            write("blocks", number)
            self.agent.wait_for("Added TracingPolicy", number + 1)
        self.answer["changes"], self.answer["changed"] = number, hammer.stopped()
        self.answer["after_changes"] = settled(self.answer["one"])

    def restart(self) -> None:
        """After a stop, then after it was killed while the file changed."""
        hammer = Hammer()
        self.agent.end(signal.SIGTERM)
        self.answer["stopped"] = counted()
        self.agent = Agent(*KEEP).started()
        self.agent.end(signal.SIGKILL)
        write("blocks", 1000)
        self.agent = Agent(*KEEP).started()
        self.answer["restarted"] = hammer.stopped()
        self.answer["after_restarts"] = settled(self.answer["one"])

    def wrong_file(self) -> None:
        """What cannot be loaded keeps the former one in force over a restart, until it is gone."""
        hammer = Hammer()
        self.agent.end(signal.SIGTERM)
        (POLICIES / "blocks.yaml").write_text("spec: [")
        self.agent = Agent(*KEEP).started()
        self.answer["spoilt"] = hammer.stopped()
        self.answer["told"] = self.agent.said("as an earlier agent left it")
        (POLICIES / "blocks.yaml").unlink()
        self.agent.wait_for("A policy that was left is removed")
        self.answer["gone"], self.answer["after_gone"] = is_let_through(), counted()
        write("blocks")
        self.agent.wait_for("Added TracingPolicy")

    def end(self) -> None:
        """A start whose directory has the policy no more, and one without the setting."""
        self.agent.end(signal.SIGKILL)
        (POLICIES / "blocks.yaml").unlink()
        self.answer["kept_without_file"] = is_let_through()
        agent = Agent(*KEEP).started()
        self.answer["start_without_file"] = is_let_through()
        write("blocks")
        agent.wait_for("Added TracingPolicy")
        agent.end(signal.SIGKILL)
        agent = Agent().started()
        self.answer["without_flag"] = counted()
        agent.end(signal.SIGTERM)
        self.answer["end_without_flag"] = is_let_through()
        self.answer["end"] = settled(self.before)
        self.answer["left"] = PINS.exists()


def changes(calls: int) -> dict[str, Any]:
    """All of that."""
    found = Changes(calls)
    for part in (found.file_changes, found.restart, found.wrong_file, found.end):
        part()
    return found.answer


def kills(times: int, most: int, seed: int) -> list[Any]:
    """The agent dies within `most` seconds, while policies load, change and enforce: what a start
    then finds and does.
    """
    chance, before = random.Random(seed), counted()
    killed = 0
    wrong: list[tuple[Any, ...]] = []
    names = ("blocks", "other")
    for name in names:
        write(name)
    Agent(*KEEP).started().end(signal.SIGTERM)
    hammer = Hammer()
    for number in range(times):
        agent = Agent(*KEEP)
        end = time.monotonic() + chance.uniform(0, most)
        changed = 0
        while time.monotonic() < end:
            if changed % 3 == 2 and chance.random() < 0.5:
                with contextlib.suppress(FileNotFoundError):
                    (POLICIES / "other.yaml").unlink()
            else:
                # That of the calls is never away.
                write(chance.choice(names), number * 100 + changed)
            changed += 1
            time.sleep(chance.uniform(0, 0.6))
        agent.end(signal.SIGKILL)
        killed += agent.process.returncode == -signal.SIGKILL
        if number % 10 == 9:
            write("other", number)
            agent = Agent(*KEEP).started()
            agent.end(signal.SIGTERM)
            found = counted()
            if found["pinned"] != len(names) or found["other"]:
                wrong.append((number, found))
    calls, through = hammer.stopped()
    if through or not calls:
        wrong.append(("let through", calls, through))
    for name in names:
        (POLICIES / f"{name}.yaml").unlink()
    agent = Agent(*KEEP).started()
    agent.end(signal.SIGTERM)
    rest = settled(before)
    if rest != before or not is_let_through():
        wrong.append(("at the end", rest))
    return [killed, calls, wrong]


def main() -> None:
    """changes CALLS, or kills TIMES SECONDS SEED."""
    subprocess.run(["mount", "-t", "bpf", "bpf", "/sys/fs/bpf"], check=False)
    POLICIES.mkdir(exist_ok=True)
    what, count, *more = sys.argv[1], *map(int, sys.argv[2:])
    print(json.dumps(kills(count, *more) if what == "kills" else changes(count)))


main()
