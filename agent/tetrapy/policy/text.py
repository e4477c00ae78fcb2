# SPDX-License-Identifier: Apache-2.0
"""The texts of policies in files."""

from __future__ import annotations

from tetrapy.config.dropins import read_text
from tetrapy.errors import PolicyError, SettingsError
from tetrapy.policy.problems import Problem


def text_of(path: str) -> str:
    """What a file of at most 1 MiB holds. Raises PolicyError for another encoding, OSError."""
    try:
        return read_text(path)
    except SettingsError as err:
        raise PolicyError([Problem("", 1, 1, str(err))]) from None
