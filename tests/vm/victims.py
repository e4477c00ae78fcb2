# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: processes whose fates are known, so that events about them can be judged."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

VICTIM = "/test/victim"

# Close to the longest path that one system call takes, with many components.
DEEP = "/test/" + "/".join(["directory-of-a-deep-tree"] * 160)
DIRECTORY = "/test/directory"

THREAD = (
    "import os, threading\n"
    f"threading.Thread(target=os.execv, args=({VICTIM!r}, {[VICTIM, 'exit', '6']!r})).start()\n"
    "import time\n"
    "time.sleep(1000)"
)

# name -> (argv, working directory, uid)
VICTIMS: dict[str, tuple[list[str | bytes], str, int]] = {
    "status": ([VICTIM, "exit", "7", "two words", "", "plain"], DIRECTORY, 1234),
    "root_cwd": ([VICTIM, "exit", "0"], "/", 0),
    "killed": ([VICTIM, "signal", "9"], DIRECTORY, 0),
    "crashed": ([VICTIM, "signal", "11"], DIRECTORY, 0),
    "exec_again": ([VICTIM, "exec", VICTIM, "exit", "3"], DIRECTORY, 0),
    "fork_only": ([VICTIM, "fork", "9"], DIRECTORY, 0),
    "thread": (["/usr/bin/python3", "-c", THREAD], DIRECTORY, 0),
    "script": (["/test/script", "argument"], DIRECTORY, 0),
    "long": ([VICTIM, "exit", "5", *("x" * 1000 for _ in range(250))], DIRECTORY, 0),
    "deep": ([VICTIM, "exit", "4"], DEEP, 0),
    "bytes": ([VICTIM, "exit", "2", b"caf\xe9", "caf\u00e9"], DIRECTORY, 0),
}

CGROUPS = Path("/sys/fs/cgroup")
CONTAINER = "0123456789abcdef" * 4


def run_victims() -> dict[str, dict[str, int]]:
    """Start each victim, wait for it: its pid and return code (minus the number of a signal)."""
    fates = {name: _fate(argv, directory, uid) for name, (argv, directory, uid) in VICTIMS.items()}
    fates["contained"] = _in_container()
    return fates


def _fate(
    argv: list[str | bytes],
    directory: str = "/",
    uid: int = 0,
    before: Callable[[], object] | None = None,
) -> dict[str, int]:
    # The driver has one thread.
    process = subprocess.Popen(argv, cwd=directory, user=uid, preexec_fn=before)  # noqa: PLW1509
    return {"pid": process.pid, "code": process.wait()}


def _in_container() -> dict[str, int]:
    """A victim in a cgroup with a container's name, where it is: unified, or memory's."""
    top = CGROUPS if (CGROUPS / "cgroup.procs").exists() else CGROUPS / "memory"
    group = top / f"docker-{CONTAINER}.scope"
    group.mkdir()
    procs = group / "cgroup.procs"
    fate = _fate([VICTIM, "exit", "0"], before=lambda: procs.write_text(str(os.getpid())))
    group.rmdir()
    return fate


def run_burst() -> dict[str, int]:
    """Many processes at once, again and again: pid -> exit status."""
    fates = {}
    for _ in range(25):
        batch = [subprocess.Popen([VICTIM, "exit", str(number)]) for number in range(1, 9)]
        fates.update({str(process.pid): process.wait() for process in batch})
    return fates
