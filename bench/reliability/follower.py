# SPDX-License-Identifier: Apache-2.0
"""Reads an export while it is written, across rotations: what was reported, whatever is kept of
it.
"""

from __future__ import annotations

import os
import threading
from io import BufferedReader
from pathlib import Path

from bench.reliability.reader import KINDS, files, whole

_EVERY = 0.02  # seconds between two looks: no file is rotated away between them


class Follower:
    """Notes which numbers of the processes `TAG-NUMBER` had an exec and an exit, once each."""

    def __init__(self, export: Path, tag: str) -> None:
        self._export, self._tag = export, tag.encode()
        self.reported: dict[str, list[int]] = {kind: [] for kind in KINDS}
        self.bytes = 0
        self.lines = 0
        self.broken = 0
        self.longest = 0  # bytes of one line
        self._rest = b""
        self._ended = threading.Event()
        self._file: BufferedReader | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Return when all is read that is in the files; the agent has ended."""
        self._ended.set()
        self._thread.join()
        if self._file is not None:
            self._file.close()
        if self._rest:
            self.broken += 1

    def _follow(self) -> None:
        while True:
            last = self._ended.is_set()
            while self._read():
                pass
            if last:
                return
            self._ended.wait(_EVERY)

    def _read(self) -> bool:
        """Read what is new; whether there may be more: another file follows this one."""
        if self._file is None:
            try:
                self._file = self._export.open("rb")
            except FileNotFoundError:
                return False
        # Asked before the reading: what is written to this file until it is renamed is read.
        after = self._following()
        while data := self._file.read(1 << 20):
            self._take(data)
        if after is None:
            return False
        self._file.close()
        self._file = after
        return True

    def _following(self) -> BufferedReader | None:
        """The file that was begun after the one that is read; None when that is the last one."""
        assert self._file is not None
        own = os.fstat(self._file.fileno()).st_ino
        try:
            paths = files(self._export)
            numbers = [path.stat().st_ino for path in paths]
            if numbers[-1:] == [own]:
                return None
            # What is not there any more was older than all that are.
            return paths[numbers.index(own) + 1 if own in numbers else 0].open("rb")
        except (FileNotFoundError, IndexError):
            return None  # renamed, deleted or not made yet: the next look tells

    def _take(self, data: bytes) -> None:
        self.bytes += len(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        self.lines += len(lines)
        for line in lines:
            self.longest = max(self.longest, len(line))
            # A line begins with the kind, and the process's arguments are in its first part.
            if self._tag in line:
                self._count(line)

    def _count(self, line: bytes) -> None:
        event = whole(line + b"\n")
        if event is None:
            self.broken += 1
            return
        kind, body = next(iter(event.items()))
        tag, _, number = body.get("process", {}).get("arguments", "").rpartition("-")
        if kind in self.reported and tag.encode() == self._tag and number.isdigit():
            self.reported[kind].append(int(number))
