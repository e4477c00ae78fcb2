# SPDX-License-Identifier: Apache-2.0
"""Lists of regular expressions as one test of a text."""

from __future__ import annotations

from typing import Dict, List, Tuple, Union

from tetrapy.errors import SettingsError
from tetrapy.filters.excess import excess
from tetrapy.filters.filter import TextTest
from tetrapy.filters.json_objects import Place
from tetrapy.filters.regex.budget import Budget, OverBudgetError
from tetrapy.filters.regex.regex import Regex

# Processes choose their texts, so what is remembered must have bounds: a megabyte.
_REMEMBERED = 4096
_MAX_LENGTH = 256  # characters of a text that is kept itself
_AT_ONCE = 16  # texts that one event may ask about


def compile_all(patterns: List[str], name: str, place: Place) -> List[Regex]:
    """Each pattern compiled; raises SettingsError that names the place and the field."""
    try:
        return [Regex(pattern) for pattern in patterns]
    except SettingsError as err:
        raise place.error(f'"{name}": {err}') from None


def any_matches(patterns: List[str], name: str, place: Place, in_doubt: bool = False) -> TextTest:
    """Whether one of the patterns matches a text; `in_doubt` where that would cost too much."""
    regexes = compile_all(patterns, name, place)

    def test(text: str) -> bool:
        budget = _budget_of(text)
        doubtful = False
        for regex in regexes:
            try:
                if regex.search(text, budget):
                    return True
            except OverBudgetError:
                excess.note(place.setting, regex.pattern)
                doubtful = True
        return doubtful and in_doubt

    return test


def brief(text: str) -> Tuple[int, int]:
    """Stands for a long text among what is remembered; two texts that share it are not to be found.

    Python makes hashes with a key of this run (SipHash), so that nobody else can tell them.
    """
    return hash(text), len(text)


_budgets: Dict[Tuple[int, int], Budget] = {}  # of the texts asked about last


def _budget_of(text: str) -> Budget:
    """What all filters together may spend on a text: one event asks them one after the other."""
    key = brief(text)
    budget = _budgets.get(key)
    if budget is None:
        if len(_budgets) >= _AT_ONCE:
            del _budgets[next(iter(_budgets))]
        budget = _budgets[key] = Budget()
    return budget


def remembered(test: TextTest) -> TextTest:
    """The same test, with the answers of before.

    An exec and its exit ask the same, and so does each child about its parent.
    """
    known: Dict[Union[str, Tuple[int, int]], bool] = {}

    def look(text: str) -> bool:
        key = text if len(text) <= _MAX_LENGTH else brief(text)
        answer = known.get(key)
        if answer is None:
            if len(known) >= _REMEMBERED:
                known.clear()
            answer = known[key] = test(text)
        return answer

    return look
