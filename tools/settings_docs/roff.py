# SPDX-License-Identifier: Apache-2.0
"""Texts in the macros of man(7)."""

from __future__ import annotations


def sentence(text: str) -> str:
    """The text as a sentence."""
    return text[0].upper() + text[1:] + "."


def roff(text: str) -> str:
    """The text as it is shown: hyphens can be copied, nothing is taken for a macro."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\\&" + escaped if escaped.startswith(".") else escaped
