# SPDX-License-Identifier: Apache-2.0
"""Each mapped file is told once of a process, and few are remembered."""

from __future__ import annotations

from typing import Any

from tetrapy.events.arguments import Argument
from tetrapy.events.process import Process
from tetrapy.sensors.policy.mapped import MAX_REPORTED, MappedFiles


def _report(files: MappedFiles, pid: int, path: str, size: int = 20) -> Any:
    words = (int.from_bytes(b"abcdefgh", "little"), int.from_bytes(b"ijklmnop", "little"))
    last = int.from_bytes(b"qrst", "little")
    args = (Argument("string_arg", path), *[Argument("size_arg", n) for n in (size, *words, last)])
    process = Process(b"n", pid, pid * 10, 0)
    return files(None, process, pid + 1, None, "then", "KPROBE_ACTION_POST", args, (), None, "")


def test_build_ids() -> None:
    """They have the bytes that the kernel says."""
    files = MappedFiles()
    event = _report(files, 1, "/lib/a")
    assert (event.path, event.buildid, event.tid) == ("/lib/a", b"abcdefghijklmnopqrst", 2)
    assert _report(files, 1, "/lib/b", 8).buildid == b"abcdefgh"


def test_once_each() -> None:
    """By process and path; what has been told long ago may be told again."""
    files = MappedFiles()
    assert _report(files, 1, "/lib/a")
    assert _report(files, 1, "/lib/a") is None
    assert _report(files, 2, "/lib/a")
    assert all(_report(files, 3, f"/lib/{n}") for n in range(MAX_REPORTED - 2))
    assert _report(files, 1, "/lib/a") is None
    assert _report(files, 3, "/lib/new")
    assert _report(files, 2, "/lib/a")
