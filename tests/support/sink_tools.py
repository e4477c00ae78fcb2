# SPDX-License-Identifier: Apache-2.0
"""What the tests of sinks share: a log that remembers, targets that refuse, what files hold."""

from __future__ import annotations

import gzip
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from tetrapy.sinks.backups import STAMP
from tetrapy.sinks.file import FileSink
from tetrapy.sinks.rules import FileRules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

real_write = os.write


class Recorder:
    """A log that remembers what it was reported."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, level: str, message: str, **keys: Any) -> None:
        self.lines.append((level, message, keys))

    @property
    def messages(self) -> list[str]:
        return [message for _, message, _ in self.lines]


def silent(*words: object, **keys: object) -> None:
    pytest.fail(f"nothing was to be logged, but {words} {keys}")


def refuse(code: int, after: int = 0) -> Callable[[int, bytes], int]:
    """An os.write that takes `after` bytes once and then fails."""
    left = [after]

    def write(fd: int, data: bytes) -> int:
        if left[0]:
            done, left[0] = real_write(fd, data[: left[0]]), 0
            return done
        raise OSError(code, os.strerror(code))

    return write


def fill_disk(monkeypatch: pytest.MonkeyPatch, code: int, after: int = 0) -> None:
    """Have writes refused by this error, once so many bytes are taken."""
    monkeypatch.setattr(os, "write", refuse(code, after))


def make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have writes work again."""
    monkeypatch.setattr(os, "write", real_write)


def sink_at(path: Path, log: Any = silent, **rules: Any) -> FileSink:
    return FileSink(str(path), FileRules(**rules), log)


def backups(path: Path) -> list[Path]:
    """The rotated files of an export file, oldest first."""
    name = re.escape(path.stem) + "-" + STAMP + re.escape(path.suffix) + r"(\.gz)?"
    return sorted(other for other in path.parent.iterdir() if re.fullmatch(name, other.name))


def content(path: Path) -> bytes:
    """What a file holds, unpacked."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def everything(path: Path) -> list[bytes]:
    """Every line of the rotated files and of the export file; none is torn."""
    files = [content(file) for file in [*backups(path), path] if file.exists()]
    assert all(data.endswith(b"\n") for data in files if data)
    return [line for data in files for line in data.splitlines()]


def numbered(begin: int, end: int, length: int = 20) -> bytes:
    """Lines that can be distinguished."""
    return b"".join(
        b'{"n":%d}' % n + b" " * (length - 7 - len(str(n))) + b"\n" for n in range(begin, end)
    )


def rotated(path: Path, number: int, **rules: Any) -> FileSink:
    """A sink that has rotated so often, and its backups as its rules have them."""
    sink = sink_at(path, Recorder(), max_size=20, **rules)
    sink.write(numbered(0, number + 1))
    sink.tick(0.0)
    sink.rotation.wait()
    return sink
