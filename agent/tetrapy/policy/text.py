# SPDX-License-Identifier: Apache-2.0
"""The texts of policies in files."""

from __future__ import annotations

from tetrapy.config.dropins import read_text, read_text_from
from tetrapy.errors import PolicyError, SettingsError
from tetrapy.policy.problems import Problem

STANDARD_INPUT = "-"


def text_of(path: str, *, standard_input: bool = False) -> str:
    """What a file of at most 1 MiB holds; `-` may stand for standard input, for a command.

    Raises PolicyError for another encoding, OSError.
    """
    try:
        if standard_input and path == STANDARD_INPUT:
            return read_text_from(0, "standard input")
        return read_text(path)
    except SettingsError as err:
        raise PolicyError([Problem("", 1, 1, str(err))]) from None
