# SPDX-License-Identifier: Apache-2.0
"""Where in a program or structure: symbols with offsets, paths of resolve, digests."""

from __future__ import annotations

import re
from typing import Tuple, Union

from tetrapy.policy.problems import quoted
from tetrapy.policy.values import UnfitError, number

DEEPEST = 10
"""Steps of a path of resolve."""

_STEP = r"(?:(?:\A|\.)(?P<name>[A-Za-z_]\w*)|\.?\Z|(?P<index>\[[0-9]{1,9}\]))"
_DIGITS = {"sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128, "build-id": 0}

Step = Union[str, int]


def resolve_path(text: str) -> Tuple[Step, ...]:
    """Members and indices of `mm.owner[3].comm`, in order. Raises UnfitError."""
    steps = []
    at = 0
    step = re.compile(_STEP, re.ASCII)
    while at < len(text):
        match = step.match(text, at)
        if match is None or match.end() == at:
            raise UnfitError(f"is no path at column {at + 1}: a.b[2].c is one")
        if match["name"]:
            steps.append(match["name"])
        elif match["index"]:
            steps.append(int(match["index"][1:-1]))
        at = match.end()
    if len(steps) > DEEPEST:
        raise UnfitError(f"has {len(steps)} steps; at most {DEEPEST} are supported")
    return tuple(steps)


def symbol_and_offset(text: str) -> Tuple[str, int]:
    """The parts of `main` or `main+0x10`. Raises UnfitError."""
    parts = text.split("+")
    if len(parts) > 2 or not parts[0]:
        raise UnfitError("is no symbol: NAME or NAME+0x10 are")
    return parts[0], number(parts[1], 0, (1 << 64) - 1) if len(parts) == 2 else 0


def digest(text: str) -> Tuple[str, str]:
    """Algorithm and hexadecimal digits of `sha256:...`, in small letters. Raises UnfitError."""
    algorithm, _colon, digits = text.strip().partition(":")
    algorithm, digits = algorithm.strip().lower(), digits.strip().lower()
    if algorithm not in _DIGITS:
        raise UnfitError(f"has no known algorithm; known are {', '.join(_DIGITS)}")
    wanted = _DIGITS[algorithm] or len(digits)
    if not re.fullmatch("[0-9a-f]+", digits) or len(digits) != wanted:
        what = f"{wanted} " if _DIGITS[algorithm] else ""
        raise UnfitError(f"is no digest: {quoted(algorithm)} has {what}hexadecimal digits")
    return algorithm, digits
