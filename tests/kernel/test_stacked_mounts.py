# SPDX-License-Identifier: Apache-2.0
"""A path through more mounts than the programs can follow is reported in part; the exec is
reported.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.watch import Watch

if TYPE_CHECKING:
    from pathlib import Path

# In a mount namespace of its own: mounts a directory on itself, so often, and executes a program.
STACK = """
import ctypes, os, sys
directory, times, cwd, program, tag = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
def check(result):
    if result:
        raise OSError(ctypes.get_errno(), "unshare or mount")
CLONE_NEWNS, MS_PRIVATE, MS_REC, MS_BIND = 0x20000, 1 << 18, 1 << 14, 1 << 12
check(libc.unshare(CLONE_NEWNS))
check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
for _ in range(int(times)):
    check(libc.mount(directory.encode(), directory.encode(), None, MS_BIND, None))
os.chdir(cwd)
os.execv(program, [program, tag, "exit", "0"])
"""


@pytest.mark.parametrize("times", [4, 1000, 2050, 2300, 3000])
def test_an_exec_is_reported(actor: Path, tmp_path: Path, times: int) -> None:
    """Of a program below so many mounts, of a directory below them, and of both."""
    stacked = tmp_path / "stacked"
    stacked.mkdir()
    program = stacked / "program"
    program.write_bytes(actor.read_bytes())
    program.chmod(0o755)
    cases = [("/", program), (stacked, actor), (stacked, program)]
    with Watch() as watch:
        for number, (cwd, path) in enumerate(cases):
            tag = f"stacked-{os.getpid()}-{number}"
            watch.run(sys.executable, "-Ic", STACK, stacked, times, cwd, path, tag)
            reported = [(event.name, event.process.binary) for event in watch.of(tag)]
            assert reported == [("process_exec", str(path)), ("process_exit", str(path))]
