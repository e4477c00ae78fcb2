# SPDX-License-Identifier: Apache-2.0
"""What earlier runs did: one line of JSON an input, in a file of the output directory.

The file is locked while a harvest runs. Lines are only added, the last one about an input counts,
and a line that was cut short by a crash counts for nothing: its input is then read again.
"""

from __future__ import annotations

import fcntl
import os
from typing import Dict, List, Optional

from tetrapy.btf.harvest.result import reason
from tetrapy.errors import HarvestError
from tetrapy.json_codec import dumps, loads
from tetrapy.named import NamedTuple

NAME = ".harvest.journal"


class Entry(NamedTuple):
    """One input and what it gave.

    `path`: absolute; `stamp`: size and time of change (ns) of the input; `names`: the options that
    decide what is written; `key`: of the kernel; `source`: the input that the BTF in the output is
    from, this one or another with the same kernel; `size`, `digest`: of that BTF; `notes`: what was
    to say about this input.
    """

    path: str
    stamp: List[int]
    names: List[str]
    key: str
    source: str
    size: int
    digest: str
    notes: List[str]


class Journal:
    """The entries of an output directory, which must exist.

    HarvestError: another harvest is at work there, or the file cannot be written.
    """

    def __init__(self, directory: str) -> None:
        path = os.path.join(directory, NAME)
        try:
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115  closed by close()
        except OSError as err:
            raise HarvestError(f"{path} cannot be written: {reason(err)}") from err
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            self._file.close()
            raise HarvestError(
                f"another harvest is writing to {directory} (it holds {NAME} there):"
                " wait for it, or name another directory"
            ) from err
        self.entries = self._read()

    def close(self) -> None:
        """Release the lock."""
        self._file.close()

    def add(self, entry: Entry) -> None:
        """Write down what an input gave; HarvestError if that is not possible."""
        self.entries[entry.path] = entry
        try:
            self._file.write(dumps(list(entry)) + b"\n")
        except OSError as err:
            raise HarvestError(f"{self._file.name} cannot be written: {reason(err)}") from err

    def owners(self) -> Dict[str, Entry]:
        """The entries of the inputs whose BTFs are in the output, by the kernel's key."""
        return {entry.key: entry for entry in self.entries.values() if entry.source == entry.path}

    def _read(self) -> Dict[str, Entry]:
        self._file.seek(0)
        data = self._file.read()
        if data and not data.endswith(b"\n"):
            self._file.write(b"\n")
        entries: Dict[str, Entry] = {}
        for line in data.splitlines():
            entry = _parse(line)
            if entry:
                # Moved to the end: the latest of a key is the last.
                entries.pop(entry.path, None)
                entries[entry.path] = entry
        return entries


def stamp_of(path: str) -> List[int]:
    """Size in bytes and time of change in ns of a file; OSError as stat."""
    info = os.stat(path)
    return [info.st_size, info.st_mtime_ns]


def _parse(line: bytes) -> Optional[Entry]:
    try:
        values = loads(line)
    except ValueError:
        return None
    if not isinstance(values, list) or len(values) != len(Entry._fields):
        return None
    kinds = (str, list, list, str, str, int, str, list)
    sound = all(isinstance(value, kind) for value, kind in zip(values, kinds))
    return Entry(*values) if sound else None
