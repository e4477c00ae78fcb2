# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest with systemd and AppArmor: the agent as a container of Docker and of Podman.

    agent_containers.py         /result/found: what is known of each container, as JSON

The image is built of /test/context. /test/plan.json has the commands, and by name how the agent is
run; what is executed meanwhile, on the host and in other containers, is `busybox true NAME-STEP`.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.vm.runtime_kinds import (
    BUSYBOX,
    NEW,
    OLD,
    Docker,
    Podman,
    Runtime,
    furnish,
    living,
    run,
    until,
)

RESULT = Path("/result")
ARCHIVE = "/srv/tetrapy.tar"
EXPORT = "var/log/tetrapy/tetrapy.log"
NAME = "tetrapy"
LISTENS = "Listening for events"


def report(what: str, began: float) -> None:
    """On the guest's console: how far this is."""
    with Path("/dev/ttyS0").open("w") as console:
        console.write(f"@@ {what} {time.monotonic() - began:.1f}\n")


class Agent:
    """A container of the agent."""

    def __init__(self, name: str, words: list[str]) -> None:
        self.name, self.engine = name, words[0]
        run(*words)
        self.pid = run(self.engine, "inspect", "--format", "{{.State.Pid}}", NAME)

    def log(self) -> str:
        """What it says."""
        done = subprocess.run(
            [self.engine, "logs", NAME], check=False, capture_output=True, text=True
        )
        return done.stdout + done.stderr

    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.pid != "0" and Path("/proc", self.pid).is_dir()

    def started(self) -> bool:
        """Whether it listens; or it has ended."""
        until(lambda: LISTENS in self.log() or not self.runs(), f"{self.name}: {self.log()}")
        return self.runs()

    def exported(self) -> str:
        """The events that it has written."""
        with suppress(OSError):
            return Path("/proc", self.pid, "root", EXPORT).read_text()
        return ""

    def confinement(self) -> str:
        """AppArmor's."""
        return Path("/proc", self.pid, "attr/current").read_text().strip("\0\n")

    def end(self) -> int:
        """By SIGTERM, if it has not ended; its exit code."""
        if self.runs():
            os.kill(int(self.pid), signal.SIGTERM)
        code = run(self.engine, "wait", NAME)
        run(self.engine, "rm", NAME)
        return int(code)


def attempt(name: str, words: list[str], runtimes: list[Runtime], olds: list[str]) -> Any:
    """One agent, and what it has to see; what is known afterwards."""
    agent = Agent(name, words)
    about: dict[str, Any] = {"listens": agent.started()}
    if about["listens"]:
        about["confinement"] = agent.confinement()
        run(BUSYBOX, "true", f"{name}-host")
        for runtime, old in zip(runtimes, olds, strict=True):
            runtime.mark(old, f"{name}-{runtime.name}-seeded")
        new = runtimes[0].start(NEW, living(f"{name}-{runtimes[0].name}-first"))
        about["ids"] = {"first": new}
        run(BUSYBOX, "true", f"{name}-last")
        with suppress(TimeoutError):
            last = f'"arguments":"true {name}-last"'
            until(lambda: last in agent.exported(), "the last event", 60.0)
        runtimes[0].remove(new)
    (RESULT / f"{name}-log").write_text(agent.log())
    (RESULT / f"{name}-events").write_text(agent.exported())
    about["code"] = agent.end()
    return about


def build(plan: dict[str, Any]) -> None:
    """The image, by the page's commands, for both."""
    run(*plan["build"])
    run("podman", "save", "--quiet", "--format", "docker-archive", "-o", ARCHIVE, plan["image"])
    run("docker", "load", "--quiet", "-i", ARCHIVE)


def main() -> None:
    """All of them, one after the other."""
    began = time.monotonic()
    plan = json.loads(Path("/test/plan.json").read_text())
    found: dict[str, Any] = {
        "apparmor": Path("/sys/module/apparmor/parameters/enabled").read_text().strip(),
        "attempts": {},
    }
    furnish()
    dropins = Path("/etc/tetrapy/tetrapy.conf.d")
    dropins.mkdir(parents=True)
    (dropins / "export-filename").write_text(f"/{EXPORT}")
    runtimes: list[Runtime] = [Docker(), Podman()]
    for runtime in runtimes:
        runtime.begin()
    report("runtimes", began)
    build(plan)
    report("image", began)
    olds = [one.start(OLD, living(f"{one.name}-before")) for one in runtimes]
    found["olds"] = {one.name: old for one, old in zip(runtimes, olds, strict=True)}
    for name, words in plan["attempts"].items():
        try:
            found["attempts"][name] = attempt(name, words, runtimes, olds)
        except (subprocess.SubprocessError, OSError) as err:
            print(name, shlex.join(words), repr(err), file=sys.stderr, flush=True)
            found["attempts"][name] = {"failed": repr(err)}
            for engine in ("docker", "podman"):
                subprocess.run([engine, "rm", "-f", NAME], check=False, capture_output=True)
        (RESULT / "found").write_text(json.dumps(found))
        report(name, began)
    (RESULT / "dmesg").write_text(run("dmesg"))


if __name__ == "__main__":
    main()
