# SPDX-License-Identifier: Apache-2.0
"""Label selectors as Kubernetes writes them: `app=web,tier in (front, back),!canary`.

Requirements stand between commas, and all must hold. A label that is not there fulfils `!key`,
`key!=value` and `key notin (...)` (Kubernetes' apimachinery, pkg/labels).
"""

from __future__ import annotations

import re
from typing import Callable, List, Mapping, Match

from tetrapy.filters.json_objects import Place

Labels = Mapping[str, str]
Test = Callable[[Labels], bool]

_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,315}[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9._-]{0,63}"
_REQUIREMENT = re.compile(
    rf"\s*(?:!\s*(?P<absent>{_KEY})"
    rf"|(?P<key>{_KEY})(?:\s*(?P<sign>==|=|!=)\s*(?P<value>{_VALUE})"
    rf"|\s*(?P<compare>[<>])\s*(?P<number>-?[0-9]{{1,18}})"
    rf"|\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*(?P<end>,|$)"
)


def any_selects(selectors: List[str], place: Place) -> Test:
    """Whether one of the selectors holds for labels. Raises SettingsError."""
    tests = [_selector(text, place) for text in selectors]
    return lambda labels: any(test(labels) for test in tests)


def _selector(text: str, place: Place) -> Test:
    tests: List[Test] = []
    at = 0
    more = bool(text.strip())
    while more:
        found = _REQUIREMENT.match(text, at)
        if found is None:
            raise place.error(
                f'"labels": {text!r} is no label selector, from {text[at : at + 20]!r}'
            )
        tests.append(_requirement(found))
        at, more = found.end(), found["end"] == ","
    return lambda labels: all(test(labels) for test in tests)


def _requirement(found: Match[str]) -> Test:
    absent, key = found["absent"], found["key"]
    if absent:
        return lambda labels: absent not in labels
    if found["set"]:
        wanted = frozenset(one.strip() for one in found["values"].split(","))
        if found["set"] == "in":
            return lambda labels: key in labels and labels[key] in wanted
        return lambda labels: labels.get(key) not in wanted
    if found["compare"]:
        number, is_more = int(found["number"]), found["compare"] == ">"
        return lambda labels: _compared(labels.get(key, ""), number, is_more)
    if found["sign"]:
        value = found["value"]
        if found["sign"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    return lambda labels: key in labels


def _compared(text: str, number: int, is_more: bool) -> bool:
    """Labels that are no numbers are neither more nor less."""
    if not re.fullmatch("-?[0-9]{1,18}", text):
        return False
    return int(text) > number if is_more else int(text) < number
