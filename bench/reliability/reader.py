# SPDX-License-Identifier: Apache-2.0
"""The reader of our own output: every file of an export, whole lines only, each event counted."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

KINDS = ("process_exec", "process_exit")
_MANY = 255  # a count that stays


class Broken(NamedTuple):
    """A line that no reader can use."""

    file: str
    number: int
    text: bytes


class Tally:
    """How often each event of a load was reported, by the number that no other process has."""

    def __init__(self) -> None:
        self._reported: dict[tuple[str, str], bytearray] = {}
        self.broken: list[Broken] = []
        self.files = 0
        self.lines = 0
        self.bytes = 0
        self.kinds: Counter[str] = Counter()

    def expect(self, tag: str, count: int) -> None:
        """A load of so many processes was run with this tag."""
        for kind in KINDS:
            self._reported[kind, tag] = bytearray(count)

    def read(self, export: Path, start: int = 0) -> None:
        """Count what all files of an export have; `start`: bytes that are passed over in each."""
        for path in files(export):
            self._read(path, start)

    def take_compressed(self, export: Path) -> None:
        """Count and delete the rotated files that nothing more happens to."""
        for path in sorted(export.parent.glob(f"{export.stem}-*.gz")):
            # Only then it is the one form that is left.
            if not path.with_suffix("").exists():
                self._read(path)
                path.unlink()

    def _read(self, path: Path, start: int = 0) -> None:
        self.files += 1
        for number, line in enumerate(lines(path, start), 1):
            self.lines += 1
            self.bytes += len(line)
            event = whole(line)
            if event is None:
                self.broken.append(Broken(path.name, number, line[:80]))
            else:
                self._count(event)

    def _count(self, event: dict[str, Any]) -> None:
        kind, body = next(iter(event.items()))
        self.kinds[kind] += 1
        if kind not in KINDS:
            return
        tag, _, number = body["process"].get("arguments", "").partition(" ")
        reported = self._reported.get((kind, tag))
        if reported is not None and number.isdigit() and int(number) < len(reported):
            reported[int(number)] = min(reported[int(number)] + 1, _MANY)

    def expected(self) -> int:
        """Events that the loads made."""
        return sum(map(len, self._reported.values()))

    def missing(self, kind: str = "") -> list[str]:
        """Events that are in no file."""
        return self._where(kind, lambda times: times == 0)

    def repeated(self, kind: str = "") -> list[str]:
        """Events that are there more than once."""
        return self._where(kind, lambda times: times > 1)

    def _where(self, wanted: str, holds: Any) -> list[str]:
        return [
            f"{kind} of {tag} {number}"
            for (kind, tag), reported in self._reported.items()
            if wanted in {"", kind}
            for number, times in enumerate(reported)
            if holds(times)
        ]


def files(export: Path) -> list[Path]:
    """The rotated files, oldest first, and the one that is written to.

    A rotated file has two forms while it is compressed; the compressed one counts when it has its
    last name, for only then it is complete.
    """
    forms: dict[str, Path] = {}
    for path in sorted(export.parent.glob(f"{export.stem}-*")):
        if not path.name.endswith(".gz.tmp"):
            forms[path.name.removesuffix(".gz")] = path
    return [*(forms[name] for name in sorted(forms)), *([export] if export.exists() else [])]


def kept(export: Path) -> list[Path]:
    """The same, and those beside it that have the lines of users who filled their share."""
    return files(export) + files(export.with_name(f"overflow-{export.name}"))


def lines(path: Path, start: int = 0) -> Iterator[bytes]:
    """The lines of a file, with their line feeds: a last one without it is a torn one."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        file.seek(start)
        yield from file


def whole(line: bytes) -> dict[str, Any] | None:
    """The event of a line; None for what is not one JSON object and a line feed."""
    if not line.endswith(b"\n"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and event else None
