# SPDX-License-Identifier: Apache-2.0
"""What the settings say about the export file."""

from __future__ import annotations

from typing import Any

from tetrapy.errors import SettingsError
from tetrapy.named import NamedTuple

_MEGABYTE = 1 << 20
_USUAL_SIZE = 100 * _MEGABYTE  # what Tetragon takes 0 for
_NEVER = 0o113  # permissions that an export file does not get: x, and writing for others
_ALWAYS = 0o600


class FileRules(NamedTuple):
    """Mode of the file, when it is rotated, and what becomes of the rotated ones."""

    mode: int = _ALWAYS
    max_size: int = 10 * _MEGABYTE  # bytes
    interval: int = 0  # nanoseconds between two rotations by time; 0 is none
    max_backups: int = 5  # 0 keeps all
    max_age: int = 0  # nanoseconds since the last line of a backup was written; 0 is for ever
    compress: bool = False

    @classmethod
    def of(cls, settings: Any) -> FileRules:
        """The rules that the settings `export-file-...` make. Raises SettingsError."""
        return cls(
            mode=settings.export_file_perm & 0o777 & ~_NEVER | _ALWAYS,
            max_size=_size_of(settings.export_file_max_size_mb),
            interval=_checked("interval", settings.export_file_rotation_interval),
            max_backups=_checked("number", settings.export_file_max_backups),
            max_age=_checked("age", settings.export_file_max_age),
            compress=settings.export_file_compress,
        )


def _size_of(megabytes: int) -> int:
    """In bytes; 0 is Tetragon's 100 MB. Raises SettingsError."""
    return _checked("size", megabytes) * _MEGABYTE or _USUAL_SIZE


def _checked(what: str, value: int) -> int:
    """The value, unless it is negative. Raises SettingsError."""
    if value < 0:
        raise SettingsError(f"the {what} at which export files are rotated or kept is negative")
    return value
