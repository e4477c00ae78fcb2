# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest with systemd: containers of each runtime, and what they execute, marked.

    runtimes.py RUNTIME...      prints their ids, or names, and what failed, as JSON

Of each runtime one container is there before the agent starts, and another comes after it. What is
executed in them is `busybox true RUNTIME-STEP`, for the steps of `_live`, `_work` and `_end`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.vm.runtime_kinds import (
    BUSY,
    HOME,
    LATE,
    NEW,
    OLD,
    Runtime,
    ending,
    furnish,
    living,
    until,
    working,
)
from tests.vm.runtime_names import RUNTIMES

RESULT = Path("/result")
RENAMED = 31.0  # seconds after which the agent asks for a container's name again


def report(what: str, began: float) -> None:
    """On the guest's console: how far this is."""
    with Path("/dev/ttyS0").open("w") as console:
        console.write(f"@@ {what} {time.monotonic() - began:.1f}\n")


class Agent:
    """It looks for a user's containers where the operator says that they are."""

    def __init__(self) -> None:
        there = ["/var/lib/docker", "/run/containerd", "/var/lib/containers/storage"]
        there += ["/run/containers/storage", f"{HOME}/.local/share/containers/storage"]
        flags = [
            "--sensor",
            "ebpf",
            "--export-filename",
            str(RESULT / "events"),
            "--container-wait",
            "30s",
            "--export-allowlist",
            '{"event_set": ["PROCESS_EXEC"]}',
            "--export-file-max-size-mb",
            "1000",
        ]
        with (RESULT / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "python3",
                    "/test/tetrapy.pyz",
                    *flags,
                    "--container-directories",
                    ",".join(there),
                ],
                stderr=log,
                stdout=log,
            )
        until(self._listens, "the agent")

    def _listens(self) -> bool:
        assert self._process.poll() is None, (RESULT / "log").read_text()
        return "Listening for events" in (RESULT / "log").read_text()

    def stop(self) -> int:
        """Its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait()


def _live(runtime: Runtime, old: str) -> dict[str, str]:
    """All that a container goes through; ids by what is executed in them."""
    name = runtime.name
    runtime.mark(old, f"{name}-seeded")
    new = runtime.start(NEW, living(f"{name}-first"))
    runtime.mark(new, f"{name}-executed")
    runtime.pause(new)
    runtime.mark(new, f"{name}-resumed")
    ids = {"seeded": old, "first": new, "executed": new, "resumed": new}
    ids.update(_work(runtime, new))
    ids["restarted"] = new = runtime.restart(new)
    runtime.mark(new, f"{name}-restarted")
    if runtime.renames:
        ids["again"] = runtime.rename(new, "renamed")
    return ids


def _work(runtime: Runtime, other: str) -> dict[str, str]:
    """Busy containers, all at once; meanwhile more is executed in them, in another one, and in one
    that starts. Ids as above.
    """
    name = runtime.name

    def start(container: str) -> str:
        return runtime.start(container, working(f"{name}-{container}"))

    with ThreadPoolExecutor(len(BUSY)) as pool:
        ids = dict(zip(BUSY, pool.map(start, BUSY), strict=True))
    for container in BUSY:
        runtime.mark(ids[container], f"{name}-in-{container}")
        ids[f"in-{container}"] = ids[container]
    runtime.mark(other, f"{name}-meanwhile")
    ids["meanwhile"] = other
    ids[LATE] = runtime.start(LATE, living(f"{name}-{LATE}"))
    for container in BUSY:
        runtime.execute(ids[container], ending(f"{name}-{container}"))
    return ids


def _end(runtime: Runtime, ids: dict[str, str]) -> None:
    """The end of all, after one more program in the one that has another name now."""
    again = ids.get("again")
    if again is not None:
        runtime.mark(again, f"{runtime.name}-asks")  # and shows what was known
        time.sleep(2)
        runtime.mark(again, f"{runtime.name}-again")
    last = again or ids["restarted"]
    for id_ in (last, ids["seeded"], ids[LATE], *(ids[container] for container in BUSY)):
        runtime.remove(id_)


def main() -> None:
    """All of them, one after the other."""
    furnish()
    wanted = [one() for one in RUNTIMES if one.name in sys.argv[1:]]
    found: dict[str, Any] = {}
    olds: dict[str, str] = {}
    for runtime in wanted:
        began = time.monotonic()
        try:
            runtime.begin()
            olds[runtime.name] = runtime.start(OLD, living(f"{runtime.name}-before"))
        except (subprocess.SubprocessError, OSError) as err:
            found[runtime.name] = {"failed": repr(err)}
        report(f"{runtime.name} begun", began)
    agent = Agent()
    for runtime in wanted:
        began = time.monotonic()
        if runtime.name in olds:
            try:
                found[runtime.name] = _live(runtime, olds[runtime.name])
            except (subprocess.SubprocessError, OSError) as err:
                found[runtime.name] = {"failed": repr(err)}
        report(f"{runtime.name} lived", began)
    time.sleep(RENAMED)
    for runtime in wanted:
        if "first" in found[runtime.name]:
            try:
                _end(runtime, found[runtime.name])
            except (subprocess.SubprocessError, OSError) as err:
                found[runtime.name]["failed"] = repr(err)
    found["stopped"] = agent.stop()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
