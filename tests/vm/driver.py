# SPDX-License-Identifier: Apache-2.0
"""What runs in a guest: the agent's sessions, one after the other, and a written record.

/test/plan.json says which (tests/vm/ways.py).  Everything ends in /result: per session the agent's
export, its log, and `record.json` with what the host cannot know otherwise (pids, exit codes, what
was left in the kernel and in /tmp).  It judges nothing: the tests on the host do.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.vm import details, situations, victims

RESULT = Path("/result")
STORE = "/var/lib/tetrapy"


def bpf_programs() -> list[int]:
    """Ids of all BPF programs in the kernel: bpf(BPF_PROG_GET_NEXT_ID)."""
    number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
    libc = ctypes.CDLL(None)
    attributes = (ctypes.c_uint32 * 32)()
    found = []
    while libc.syscall(number, 11, ctypes.byref(attributes), 12) == 0:
        found.append(attributes[1])
        attributes[0] = attributes[1]
    return found


def leftovers() -> dict[str, list[str]]:
    """What an agent could leave behind: files, programs in the kernel, cgroups, processes."""
    places = ("/tmp", "/dev/shm", "/run")
    files = [str(path) for place in places for path in Path(place).rglob("*") if path.is_file()]
    groups = [str(path) for path in Path(situations.CGROUPS).rglob("*") if path.is_dir()]
    return {
        "files": sorted(files),
        "programs": [str(number) for number in bpf_programs()],
        "cgroups": sorted(groups),
        "processes": situations.tasks(),
    }


def settled(expected: dict[str, list[str]]) -> dict[str, list[str]]:
    """What is left when the kernel, too, is done: it frees programs a moment after their owner."""
    for _ in range(200):
        if leftovers() == expected:
            break
        time.sleep(0.1)
    return leftovers()


def session(name: str, plan: dict[str, Any]) -> dict[str, object]:
    """One life of the agent: start, victims, SIGTERM; or the end that it finds by itself."""
    directory = RESULT / name
    directory.mkdir()
    before = leftovers()
    prepared = [prepare(plan["pyz"], words) for _, words in plan["before"]]
    settled(before)
    with contextlib.ExitStack() as around:
        around.callback(shutil.rmtree, STORE, ignore_errors=True)
        if plan["hidden"]:
            around.enter_context(situations.hidden_btf())
        if plan["os_release"]:
            around.enter_context(situations.distribution(plan["os_release"]))
        if plan["situation"] == "legacy-cgroups":
            around.enter_context(situations.legacy_cgroups())
        launcher = situations.LAUNCHERS.get(plan["situation"], [])
        command = [*launcher, "/usr/bin/python3", plan["pyz"], *plan["options"]]
        return {**life(command, directory, plan), "prepared": prepared}


def prepare(pyz: str, words: list[str]) -> dict[str, object]:
    """A command of the .pyz: its exit code, and what it printed."""
    done = subprocess.run(
        ["/usr/bin/python3", pyz, *words],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return {"code": done.returncode, "output": done.stdout}


def life(command: list[str], directory: Path, plan: dict[str, Any]) -> dict[str, object]:
    """Run the agent and what it has to see; its log and export end in the directory."""
    before = leftovers()
    log = directory / "log"
    started = time.monotonic()
    with log.open("wb") as output:
        agent = subprocess.Popen(
            [*command, "--export-filename", str(directory / "export.json")],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
        )
    record: dict[str, object] = {"driver": os.getpid(), "listened": listens(agent, log)}
    record["start_seconds"] = time.monotonic() - started
    if record["listened"]:
        record["during"] = leftovers()
        record["victims"] = victims.run_victims()
        record["burst"] = victims.run_burst() if plan["burst"] else {}
        record["details"] = details.run() if plan["details"] else {}
        agent.terminate()
    record["code"] = agent.wait()
    record["before"], record["after"] = before, settled(before)
    return record


def listens(agent: subprocess.Popen[bytes], log: Path) -> bool:
    """Wait until the agent says that it listens (True) or ends.

    No bound in seconds: clocks of emulated machines jump. The host bounds the life of the guest.
    """
    while agent.poll() is None:
        if b"Listening for events" in log.read_bytes():
            return True
        time.sleep(0.02)
    return False


def probe(before: dict[str, list[str]]) -> dict[str, Any]:
    """The answers of tests/vm/probe.py; what it printed is kept when it fails."""
    command = ["/usr/bin/python3", "-m", "tests.vm.probe", "/test/tetrapy.pyz"]
    with open("/test/question.json") as question, (RESULT / "probe-errors").open("wb") as errors:
        done = subprocess.run(
            command, check=False, stdin=question, stdout=subprocess.PIPE, stderr=errors
        )
    settled(before)
    answers: dict[str, Any] = json.loads(done.stdout or b"{}")
    return answers


def main() -> None:
    os.mkdir(victims.DIRECTORY)
    os.makedirs(victims.DEEP)
    plan = json.loads(Path("/test/plan.json").read_text())
    record = {
        "btf": os.path.exists(situations.BTF_DIRECTORY),
        "probe": probe(leftovers()),
        "sessions": {name: session(name, how) for name, how in plan.items()},
    }
    (RESULT / "record.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main()
