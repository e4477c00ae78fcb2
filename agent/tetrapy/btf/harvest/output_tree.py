# SPDX-License-Identifier: Apache-2.0
"""The output directory: what is in it, who put it there, and how something new gets there."""

from __future__ import annotations

import os
import shutil
from typing import Optional

from tetrapy.btf.harvest import task
from tetrapy.btf.harvest.journal import Entry, Journal
from tetrapy.btf.harvest.result import reason
from tetrapy.errors import HarvestError
from tetrapy.named import NamedTuple

_SCRATCH = ".harvest.tmp"


class Owner(NamedTuple):
    """Which input a BTF in the output is from; `number` is its place in this run, else -1."""

    number: int
    entry: Entry


class OutputTree:
    """An output directory, created if need be, until it is closed; `directory` as it was named.

    HarvestError: it cannot be written, or another harvest is at work there.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._run = os.getpid()
        try:
            os.makedirs(directory, exist_ok=True)
        except OSError as err:
            raise HarvestError(
                f"the output directory {directory} cannot be made: {reason(err)}"
            ) from err
        self.journal = Journal(directory)
        self._owners = {key: Owner(-1, entry) for key, entry in self.journal.owners().items()}
        self._scratch = os.path.join(directory, _SCRATCH)
        try:
            # Of a run that was killed.
            shutil.rmtree(self._scratch, ignore_errors=True)
            os.mkdir(self._scratch)
        except OSError as err:
            self.journal.close()
            raise HarvestError(
                f"the output directory {directory} cannot be written: {reason(err)}"
            ) from err

    def close(self) -> None:
        """Remove what is unfinished, and let others at the directory."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        self.journal.close()

    def scratch(self, number: int) -> str:
        """The path of a scratch directory, which is not there yet; on the output's file system."""
        # Not the name that another run gives: its workers may outlive it for a moment.
        return os.path.join(self._scratch, f"{self._run}-{number}")

    def discard(self, number: int) -> None:
        """Remove a scratch directory, if it is there."""
        shutil.rmtree(self.scratch(number), ignore_errors=True)

    def holds(self, entry: Entry) -> bool:
        """Whether what the entry tells of is complete."""
        path = self._path(entry.key)
        try:
            return os.path.getsize(path) == entry.size
        except OSError:
            return False

    def owner(self, key: str) -> Optional[Owner]:
        """Who a kernel's BTF is from; None if it is not there, or by nobody that is known."""
        owner = self._owners.get(key)
        return owner if owner and self.holds(owner.entry) else None

    def own(self, number: int, entry: Entry) -> None:
        """Write down that the BTF of the entry's key is from the input of that number."""
        self._owners[entry.key] = Owner(number, entry)
        self.journal.add(entry)

    def take(self, number: int, made: task.Made) -> None:
        """Move what a worker made from its scratch directory to its place; atomic, file by file."""
        path = self._path(made.key)
        modules = path[: -len(".btf")] + ".modules"
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if made.modules:
                shutil.rmtree(modules, ignore_errors=True)
                os.rename(os.path.join(self.scratch(number), task.MODULES), modules)
            os.replace(os.path.join(self.scratch(number), task.BTF), path)
        except OSError as err:
            raise HarvestError(f"{path} cannot be written: {reason(err)}") from err

    def _path(self, key: str) -> str:
        return os.path.join(self.directory, f"{key}.btf")
