# SPDX-License-Identifier: Apache-2.0
"""When an export file is put aside, and what becomes of the files that were."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Optional

from tetrapy.sinks.opened import OpenFile
from tetrapy.sinks.rules import FileRules
from tetrapy.sinks.sink import Log

if TYPE_CHECKING:
    from tetrapy.sinks.backups import BackupNames, Housekeeper

_SECOND = 1_000_000_000
_PAUSE = 10.0  # seconds after which a rotation that was refused is tried again
# Looks for backups that have become too old, a share of that age, within these seconds.
_SHARE, _SHORTEST, _MAX_LENGTH = 0.1, 1.0, 600.0


class Rotation:
    """Rotates one file; a rotation that is refused does not keep lines from being written."""

    def __init__(self, rules: FileRules, log: Log, now: float) -> None:
        self.rules = rules
        self.threshold = rules.max_size  # bytes; beyond all sizes while rotations are refused
        self.failures = 0
        self._log = log
        self._names: Optional[BackupNames] = None
        self._housekeeper: Optional[Housekeeper] = None
        self._last_error = ""  # the trouble that was last reported
        self._refused = False
        self._again = 0.0  # when a rotation that was refused is tried again
        self._due = now + rules.interval / _SECOND
        self._care = 0.0  # when backups are looked at next

    @property
    def compressions(self) -> int:
        """Backups that were compressed."""
        return self._housekeeper.compressions if self._housekeeper else 0

    @property
    def all_failures(self) -> int:
        """Rotations, compressions and removals that did not work."""
        return self.failures + (self._housekeeper.failures if self._housekeeper else 0)

    def rotate(self, file: OpenFile, now: float) -> bool:
        """Put the file aside; False when it has to be gone on with."""
        try:
            if not file.is_in_place():
                # The next tick has the file opened anew that belongs there.
                self.threshold, self._again = sys.maxsize, now
                return False
            file.begin_anew(self._name(file.path), self.rules.mode)
        except OSError as err:
            self.failures += 1
            self.threshold, self._again = sys.maxsize, now + _PAUSE
            if not self._refused:
                self._log(
                    "warn",
                    "Export file cannot be rotated, going on with it",
                    file=file.path,
                    error=err.strerror,
                )
            self._refused = True
            return False
        if self._refused:
            self._log("info", "Rotating JSON logs export works again", file=file.path)
        self._refused = False
        self.threshold = self.rules.max_size
        self._look_after_backups(file)
        return True

    def _name(self, path: str) -> str:
        if self._names is None:
            from tetrapy.sinks.backups import BackupNames  # no part of a start

            self._names = BackupNames()
        return self._names.make(path)

    def announce(self, file: OpenFile) -> None:
        """Say in the log that a rotation is made, which its size does not ask for."""
        directory, name = os.path.split(file.path)
        self._log("info", "Rotating JSON logs export", file=name, directory=directory)

    def tick(self, file: OpenFile, now: float) -> None:
        """Let refused rotations be tried again; look after backups."""
        if self.threshold != self.rules.max_size and now >= self._again:
            self.threshold = self.rules.max_size
        if now >= self._care:
            self._look_after_backups(file)
            age = self.rules.max_age / _SECOND
            pause = min(max(age * _SHARE, _SHORTEST), _MAX_LENGTH) if age else sys.maxsize
            self._care = now + pause
        if self._housekeeper and self._housekeeper.trouble != self._last_error:
            self._last_error = self._housekeeper.trouble
            if self._last_error:
                self._log("warn", "Rotated export files", error=self._last_error)

    def is_due(self, now: float) -> bool:
        """Whether the interval is over; a new one begins then."""
        if not self.rules.interval or now < self._due:
            return False
        self._due = now + self.rules.interval / _SECOND
        return True

    def _look_after_backups(self, file: OpenFile) -> None:
        # Whatever the rules are: a killed agent may have left something half done.
        if self._housekeeper is None:
            from tetrapy.sinks.backups import Housekeeper  # no part of a start

            self._housekeeper = Housekeeper()
        self._housekeeper.ask(file.path, self.rules)

    def follow(self, rules: FileRules) -> None:
        """Keep to these rules from the next tick on; a changed interval begins now."""
        if rules == self.rules:
            return
        if rules.interval != self.rules.interval:
            self._due = time.monotonic() + rules.interval / _SECOND
        self.rules, self._care = rules, 0.0

    def wait(self) -> None:
        """Return when nothing is left to do about backups."""
        if self._housekeeper:
            self._housekeeper.wait()

    def close(self) -> None:
        """Stop looking after backups."""
        if self._housekeeper:
            self._housekeeper.close()
