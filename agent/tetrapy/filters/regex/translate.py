# SPDX-License-Identifier: Apache-2.0
"""Tree -> pattern for Python's `re`."""

from __future__ import annotations

import re
from typing import Any

from tetrapy.filters.regex import nodes
from tetrapy.filters.regex.charset import ALL, Ranges

_ASSERTIONS = {
    nodes.TEXT_START: r"\A",
    nodes.TEXT_END: r"\Z",
    nodes.LINE_START: "(?m:^)",
    nodes.LINE_END: "(?m:$)",
    nodes.WORD_EDGE: r"\b",
    nodes.NO_WORD_EDGE: r"(?!\b)",  # \B does not match the empty text before Python 3.14
}


def pattern_of(node: Any) -> str:
    """The pattern for `re.compile(..., re.ASCII)`."""
    if isinstance(node, nodes.Chars):
        return set_pattern(node.ranges)
    if isinstance(node, nodes.Assertion):
        return _ASSERTIONS[node.kind]
    if isinstance(node, nodes.Group):
        return "(" + pattern_of(node.body) + ")"
    if isinstance(node, nodes.Choice):
        return "(?:" + "|".join(map(pattern_of, node.parts)) + ")"
    if isinstance(node, nodes.Sequence):
        return "".join(map(pattern_of, node.parts))
    body = pattern_of(node.body)
    if not isinstance(node.body, (nodes.Chars, nodes.Group)):
        body = f"(?:{body})"
    high = "" if node.high == nodes.UNLIMITED else node.high
    return f"{body}{{{node.low},{high}}}" + ("" if node.greedy else "?")


def set_pattern(ranges: Ranges) -> str:
    """The pattern for one character out of a set."""
    if ranges == ALL:
        return "(?s:.)"
    if not ranges:
        return "(?!)"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return re.escape(chr(ranges[0][0]))
    return "[" + "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges) + "]"
