# SPDX-License-Identifier: Apache-2.0
"""What has been given so far, by whom, and what was noticed."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from tetrapy.config.setting import Setting
from tetrapy.config.settings import Note
from tetrapy.config.table import BY_NAME


class Given:
    """Filled from the weakest source to the strongest: what comes later wins."""

    def __init__(self) -> None:
        self.values: Dict[str, Any] = {}
        self.set_by: Dict[str, str] = {}
        self.notes: List[Note] = []

    def set(self, setting: Setting, value: Any, source: str) -> None:
        """`source` gives the setting this value."""
        self.values[setting.name] = value
        self.set_by[setting.name] = source

    def overlay(self, stronger: Given) -> None:
        """Add what a stronger source gave."""
        self.values.update(stronger.values)
        self.set_by.update(stronger.set_by)
        self.notes.extend(stronger.notes)

    def note(self, level: str, message: str, fields: Mapping[str, str]) -> None:
        """To be logged when there is a log."""
        self.notes.append(Note(level, message, fields))

    def unreadable(self, path: str, err: OSError) -> None:
        """A file or directory of settings is there, and goes without."""
        text = "Settings cannot be read and are ignored"
        self.note("warn", text, {"path": path, "error": str(err.strerror)})

    def unknown(self, name: str, source: str) -> None:
        """No setting has this name: a slip is warned of, the rest is told to who debugs."""
        if not self.mistyped(name, source):
            self.note("debug", "Unknown setting is ignored", {"setting": name, "source": source})

    def mistyped(self, name: str, source: str) -> bool:
        """Warn if a setting was probably meant by this name; whether it was."""
        from tetrapy.config.suggestions import nearest  # most starts meet known names only

        meant = nearest(name, BY_NAME)
        if meant:
            text = f"Unknown setting is ignored; did you mean {meant}?"
            self.note("warn", text, {"setting": name, "source": source})
        return bool(meant)
