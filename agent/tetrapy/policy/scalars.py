# SPDX-License-Identifier: Apache-2.0
"""What texts without quotes are in YAML, as Tetragon's library reads them.

`yes` is a boolean, 1:5 a text, 0o17 a number.
"""

from __future__ import annotations

import re
from typing import Optional

NOTHING, BOOLEAN, NUMBER, DECIMAL, TEXT = "nothing", "boolean", "number", "decimal", "text"
"""Kinds, in words for an operator."""
MAX_NUMBER = 80
"""Characters of a number."""
TRUE = frozenset("yes Yes YES true True TRUE on On ON".split())

_FALSE = frozenset("no No NO false False FALSE off Off OFF".split())
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0[bB][01_]+|[0-9][0-9_]*)\Z")
_FLOAT = re.compile(r"[-+]?([0-9]*\.?[0-9]+([eE][-+][0-9]+)?|\.inf)\Z|\.nan\Z")


def kind_of(text: str) -> str:
    """What a text without quotes is."""
    if text in _NULLS:
        return NOTHING
    if text in TRUE or text in _FALSE:
        return BOOLEAN
    if _INTEGER.match(text):
        return NUMBER
    return DECIMAL if _FLOAT.match(text.lower()) else TEXT


def integer(text: str) -> Optional[int]:
    """The number that a text is in Go's notation of any base; None if it is none."""
    if not _INTEGER.match(text) or len(text) > MAX_NUMBER:
        return None
    digits = text.replace("_", "").lower()
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    try:
        if digits.startswith("0") and digits[1:].isdigit():
            return sign * int(digits, 8)
        return sign * int(digits, 0)
    except ValueError:
        return None
