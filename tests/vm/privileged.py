# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: what works with which capabilities.

/test/plan.json lists attempts: a feature (tests/vm/privileges.py) and capabilities. For each, the
agent is started with no others, and the feature tried; then what a sensor can do that has given up
capabilities after it was attached (tests/vm/after_start.py). /result/record.json says which worked,
and the agent's last words where it did not. It judges nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.vm import situations
from tests.vm.privileges import FEATURES, Feature

RESULT = Path("/result")
PLACE = Path("/test/place")
NOBODY = 1000
EXPORT = PLACE / "events.json"
_LOOKS, _PAUSE = 600, 0.05


class Run:
    """One agent, and a process of another user that was there before it."""

    def __init__(self, feature: Feature, capabilities: list[str]) -> None:
        shutil.rmtree(PLACE, ignore_errors=True)
        PLACE.mkdir()
        PREPARE.get(feature.check, lambda: None)()
        self.elder = subprocess.Popen(["/bin/sleep", "1000"], cwd="/tmp", user=NOBODY)
        self.log_path = RESULT / "log"
        launcher = ["/usr/bin/python3", "-m", "tests.vm.bounded", ",".join(capabilities)]
        command = ["/usr/bin/python3", feature.pyz, *feature.arguments]
        with self.log_path.open("wb") as log:
            self.agent = subprocess.Popen(
                [*launcher, *command, "--export-filename", str(EXPORT)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/test",
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def listens(self) -> bool:
        return self.until(lambda: "Listening for events" in self.log)

    def until(self, check: Callable[[], bool]) -> bool:
        """Whether it comes true while the agent runs, in so many looks: a guest's clock jumps."""
        for _ in range(_LOOKS):
            if check():
                return True
            if self.agent.poll() is not None:
                return False
            time.sleep(_PAUSE)
        return False

    def events(self) -> list[dict[str, Any]]:
        """Those of whole lines."""
        try:
            whole = EXPORT.read_bytes().rpartition(b"\n")[0]
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in whole.splitlines()]

    def processes(self, kind: str) -> list[dict[str, Any]]:
        return [event[kind]["process"] for event in self.events() if kind in event]

    def tells(self, name: str) -> bool:
        """Whether a process that runs now is reported, from beginning to end."""
        subprocess.run(["/bin/true", name], check=True)
        self.until(lambda: any(p.get("arguments") == name for p in self.processes("process_exit")))
        return any(p.get("arguments") == name for p in self.processes("process_exec"))

    def end(self) -> None:
        self.elder.kill()
        self.elder.wait()
        if self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
        self.agent.wait()


def tells_execs(run: Run) -> bool:
    return run.tells("probe")


def tells_execs_somehow(run: Run) -> bool:
    """A process that stays for a while is reported, by its pid."""
    later = subprocess.Popen(["/bin/sleep", "999"])
    try:
        return run.until(lambda: any(p["pid"] == later.pid for p in run.processes("process_exec")))
    finally:
        later.kill()
        later.wait()


def tells_older_processes(run: Run) -> bool:
    """The process of another user that was there before is reported with program and directory."""
    found = [p for p in run.processes("process_exec") if p["pid"] == run.elder.pid]
    return bool(found) and (found[0].get("binary"), found[0].get("cwd")) == (
        os.path.realpath("/bin/sleep"),
        "/tmp",
    )


def completes_from_procfs(run: Run) -> bool:
    """A process of another user that starts now and stays is reported with program and
    directory.
    """
    later = subprocess.Popen(["/bin/sleep", "999"], cwd="/tmp", user=NOBODY)
    try:
        wanted = ("999", "/tmp")
        return run.until(
            lambda: any(
                (p.get("arguments"), p.get("cwd")) == wanted
                for p in run.processes("process_exec")
                if p["pid"] == later.pid
            )
        )
    finally:
        later.kill()
        later.wait()


def serves_metrics(run: Run) -> bool:
    try:
        with urllib.request.urlopen("http://127.0.0.1:112/metrics") as answer:
            return bool(answer.read())
    except OSError:
        return False


def rotates_with_owner(run: Run) -> bool:
    """After a rotation the file belongs to whom it belonged, with its mode."""

    def rotated() -> bool:
        subprocess.run(["/bin/true"], check=True)
        return bool(list(PLACE.glob("events-*")))

    if not run.until(rotated):
        return False
    time.sleep(0.2)
    found = EXPORT.stat()
    return (found.st_uid, found.st_gid, found.st_mode & 0o777) == (NOBODY, NOBODY, 0o600)


def is_checked(run: Run) -> bool:
    return "BTF is used unchecked" not in run.log


def is_checked_whole(run: Run) -> bool:
    return is_checked(run) and "Less can be proven" not in run.log


def is_found(run: Run) -> bool:
    return "inferred from" in run.log


def prepare_owned_directory() -> None:
    os.chown(PLACE, NOBODY, NOBODY)


def prepare_owned_file() -> None:
    EXPORT.touch(0o600)
    os.chown(EXPORT, NOBODY, NOBODY)


PREPARE = {"tells_in_owned_directory": prepare_owned_directory, "rotates": prepare_owned_file}
CHECKS: dict[str, Callable[[Run], bool]] = {
    "tells": tells_execs,
    "tells_somehow": tells_execs_somehow,
    "tells_older": tells_older_processes,
    "completes": completes_from_procfs,
    "serves": serves_metrics,
    "tells_in_owned_directory": tells_execs,
    "rotates": rotates_with_owner,
    "checked": is_checked,
    "checked_whole": is_checked_whole,
    "found": is_found,
}


def attempt(name: str, capabilities: list[str]) -> dict[str, Any]:
    """Try a feature with these capabilities."""
    feature = FEATURES[name]
    with situations.hidden_btf() if feature.hidden else contextlib.nullcontext():
        run = Run(feature, capabilities)
        try:
            works = run.listens() and CHECKS[feature.check](run)
        finally:
            run.end()
    lines = run.log.splitlines()
    reported = [line for line in lines if "level=error" in line or "level=warn" in line]
    return {"feature": name, "capabilities": capabilities, "works": works, "told": reported[-3:]}


def after_start(capabilities: list[str]) -> dict[str, Any]:
    """What an attached sensor can do with these."""
    command = ["/usr/bin/python3", "-m", "tests.vm.after_start", "/test/tetrapy.pyz"]
    done = subprocess.run(
        [*command, ",".join(capabilities)], check=False, capture_output=True, text=True
    )
    answers = json.loads(done.stdout or "{}")
    return {"capabilities": capabilities, "answers": answers, "told": done.stderr[-1000:]}


def main() -> None:
    plan = json.loads(Path("/test/plan.json").read_text())
    try:
        record = {
            "attempts": [attempt(*one) for one in plan["attempts"]],
            "after": [after_start(one) for one in plan["after"]],
        }
    finally:
        shutil.rmtree(PLACE, ignore_errors=True)
    (RESULT / "record.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main()
