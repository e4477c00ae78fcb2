"""Tree -> pattern for Python's `re`, and how many steps `re` may take with it."""

from __future__ import annotations

import re
from typing import Any

from tetrapy.named import NamedTuple
from tetrapy.pipeline.regex import nodes
from tetrapy.pipeline.regex.charset import ALL, Ranges

_ASSERTIONS = {
    nodes.TEXT_START: r"\A",
    nodes.TEXT_END: r"\Z",
    nodes.LINE_START: "(?m:^)",
    nodes.LINE_END: "(?m:$)",
    nodes.WORD_EDGE: r"\b",
    nodes.NO_WORD_EDGE: r"(?!\b)",  # \B does not match the empty text before Python 3.14
}
_MANY_BRANCHES = 8  # choices double the steps


def pattern_of(node: Any) -> str:
    """The pattern for `re.compile(..., re.ASCII)`."""
    if isinstance(node, nodes.Chars):
        return _set(node.ranges)
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


def _set(ranges: Ranges) -> str:
    if ranges == ALL:
        return "(?s:.)"
    if not ranges:
        return "(?!)"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return re.escape(chr(ranges[0][0]))
    return "[" + "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges) + "]"


class Cost(NamedTuple):
    """What bounds the steps of `re`: at most length ** `power`, unless it is `risky`."""

    power: int
    risky: bool  # a repetition in a repetition, or too many choices: the bound is no use

    @classmethod
    def of(cls, node: Any) -> Cost:
        """Bound the steps of a search anywhere in a text."""
        loops, branches, nested = _loops(node)
        return cls(loops + (not _starts_at_start(node)), nested or branches > _MANY_BRANCHES)


def _loops(node: Any) -> tuple[int, int, bool]:
    """Repetitions, choices, and whether something that can match in two ways is repeated."""
    if isinstance(node, nodes.Group):
        return _loops(node.body)
    if isinstance(node, nodes.Repeat):
        loops, branches, nested = _loops(node.body)
        if node.high in (0, 1):
            return loops, branches + 1, nested
        varies = node.low != node.high
        return loops + varies, branches, nested or bool(loops or branches)
    if isinstance(node, (nodes.Sequence, nodes.Choice)):
        counts = [_loops(part) for part in node.parts]
        choices = len(node.parts) - 1 if isinstance(node, nodes.Choice) else 0
        return (
            sum(count[0] for count in counts),
            sum(count[1] for count in counts) + choices,
            any(count[2] for count in counts),
        )
    return 0, 0, False


def _starts_at_start(node: Any) -> bool:
    if isinstance(node, nodes.Group):
        return _starts_at_start(node.body)
    if isinstance(node, nodes.Sequence):
        return bool(node.parts) and _starts_at_start(node.parts[0])
    return isinstance(node, nodes.Assertion) and node.kind == nodes.TEXT_START
