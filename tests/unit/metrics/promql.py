# SPDX-License-Identifier: Apache-2.0
"""Which metrics and labels an expression of PromQL asks for; enough of the language for that."""

from __future__ import annotations

import re
from typing import NamedTuple

STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')
RANGES = re.compile(r"\[[^\]]*\]")
# by (a, b): labels, whose names are not to be taken for metrics
GROUPINGS = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", re.IGNORECASE
)
SELECTORS = re.compile(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\()?")
NUMBERS = re.compile(r"\b\d[\w.]*")
WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}


class Asked(NamedTuple):
    """What an expression asks for."""

    metrics: dict[str, set[str]]  # name -> the labels that it is matched by
    grouped: set[str]  # labels that results are grouped or joined by


def asked(expression: str) -> Asked:
    """The metrics and labels in an expression."""
    text = NUMBERS.sub("", RANGES.sub("", STRINGS.sub("", expression)))
    grouped = {label for found in GROUPINGS.findall(text) for label in re.findall(r"\w+", found)}
    metrics: dict[str, set[str]] = {}
    for name, behind in SELECTORS.findall(GROUPINGS.sub(" ", text)):
        if behind == "(" or name in WORDS or (not behind and name in AGGREGATIONS):
            continue
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", behind))
        metrics.setdefault(name, set()).update(labels)
    return Asked(metrics, grouped)


AGGREGATIONS = {"sum", "max", "min", "avg", "count", "topk", "bottomk"}
