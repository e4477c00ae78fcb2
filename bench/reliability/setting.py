# SPDX-License-Identifier: Apache-2.0
"""Where a check takes place: an agent, programs that an ordinary user runs, what was reported."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bench.reliability.attack import ATTACKER, VICTIM, Programs
from bench.reliability.reader import kept, lines, whole
from bench.reliability.watched import TIMEOUT, Watched
from tools.errors import BuildError


class Setting(NamedTuple):
    """Where a check takes place."""

    pyz: Path
    directory: Path
    programs: Programs

    def agent(self, *flags: str, **options: Any) -> Watched:
        """An agent that listens, its files in the directory."""
        return Watched(self.pyz, self.directory, *flags, **options).listening()

    def run(self, *arguments: str, uid: int = ATTACKER, **options: Any) -> int:
        """Execute the program that does nothing, once; its pid."""
        process: subprocess.Popen[bytes] = self.start(
            [str(self.programs.nothing), *arguments], uid=uid, **options
        )
        process.wait()
        return process.pid

    def start(
        self, command: list[str], uid: int = ATTACKER, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Any command, as a user without rights."""
        return subprocess.Popen(
            command,
            user=uid,
            group=uid,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **options,
        )

    def storm(self, *words: str, seconds: int = 2) -> None:
        """A load of bench/attack.c to its end."""
        self.programs.start(*words, f"seconds={seconds}", uid=ATTACKER).communicate()


def fence(agent: Watched, setting: Setting) -> None:
    """Return when all that was before is written. Raises BuildError."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        name = f"fence-{time.monotonic_ns()}"
        setting.run(name, uid=VICTIM)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            if any(name.encode() in line for line in all_lines(agent.export)):
                return
            time.sleep(0.05)
    raise BuildError(f"nothing is reported any more\n{agent.log[-2000:]}")


def all_lines(export: Path) -> Iterator[bytes]:
    """What is in the files of an export, oldest first."""
    for path in kept(export):
        with suppress(FileNotFoundError):  # rotated away meanwhile
            yield from lines(path)


def execs(export: Path) -> list[dict[str, Any]]:
    """The processes that were executed, as they are reported."""
    found = [whole(line) for line in all_lines(export)]
    return [
        event["process_exec"]["process"] for event in found if event and "process_exec" in event
    ]


def ended(agent: Watched) -> list[str]:
    """Have it stop; what is wrong with that."""
    code = agent.stop()
    return [f"exit code {code}: {agent.log[-500:]}"] if code else []


def scrape(port: int) -> bytes:
    """What Prometheus would get. Raises OSError."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT) as answer:
        body: bytes = answer.read()
    return body
