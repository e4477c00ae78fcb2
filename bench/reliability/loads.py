# SPDX-License-Identifier: Apache-2.0
"""Loads whose every process is known by its arguments, at low priority."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Self

_NICE = 10


class Loads:
    """bench/load.c and the program that it executes; counts what it makes the kernel do."""

    def __init__(self, program: Path, target: Path) -> None:
        self.program, self.target = program, target
        self.execs = 0
        self.exits = 0

    @classmethod
    def built(cls, directory: Path) -> Self:
        """The programs, compiled for this machine."""
        from bench import programs

        return cls(*programs.build(directory))

    def run(self, count: int, width: int, tag: str) -> None:
        """Run so many processes to their end. Raises CalledProcessError when one failed."""
        load = self.start(count, width, tag)
        if load.wait():
            raise subprocess.CalledProcessError(load.returncode, load.args)

    def tag(self, name: str, turn: int) -> str:
        """What no other load of this machine bears, another run of the same command included."""
        return f"{name}-{os.getpid()}-{turn}"

    def start(self, count: int, width: int, tag: str) -> subprocess.Popen[bytes]:
        """The same in the background."""
        self.execs += count + 1
        self.exits += count + 1
        command = [str(self.program), str(count), str(width), str(self.target), tag]
        load = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        os.setpriority(os.PRIO_PROCESS, load.pid, _NICE)
        return load

    def run_one(self, name: str) -> None:
        """Run one process with this argument."""
        self.execs += 1
        self.exits += 1
        subprocess.run([str(self.target), name], check=True)
