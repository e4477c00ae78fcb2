# SPDX-License-Identifier: Apache-2.0
"""Processes by the thousand: forked by a small process, since a copy of pytest takes 30 ms."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """
import json, os, sys
for line in sys.stdin:
    words, uid, cwd, cgroup = json.loads(line)
    pid = os.fork()
    if pid == 0:
        try:
            os.sched_setaffinity(0, {0})
            if cwd:
                os.chdir(cwd)
            if cgroup:
                with open(cgroup + "/cgroup.procs", "w") as file:
                    file.write("0")
            if uid:
                os.setgroups([])
                os.setresuid(uid, uid, uid)
            os.execv(words[0], words)
        finally:
            os._exit(127)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


class Launcher:
    """Runs one process after the other, all on the first CPU; for a `with`."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-IS", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(
        self, words: list[object], uid: int = 0, cwd: Path | None = None, cgroup: Path | None = None
    ) -> None:
        """One process to its end, which has to be a good one."""
        assert self._process.stdin
        assert self._process.stdout
        order = [str(word) for word in words], uid, cwd and str(cwd), cgroup and str(cgroup)
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "0\n", words
