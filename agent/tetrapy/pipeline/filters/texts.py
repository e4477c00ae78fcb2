"""Lists of regular expressions as one test of a text."""

from __future__ import annotations

from typing import Dict, List

from tetrapy.errors import SettingsError
from tetrapy.pipeline.filters.filter import TextTest
from tetrapy.pipeline.json_objects import Place
from tetrapy.pipeline.regex.regex import Regex

# Processes choose their names, so what is remembered must have bounds: a megabyte.
_REMEMBERED = 4096
_LONGEST = 256


def compile_all(patterns: List[str], name: str, place: Place) -> List[Regex]:
    """Each pattern compiled; raises SettingsError that names the place and the field."""
    try:
        return [Regex(pattern) for pattern in patterns]
    except SettingsError as err:
        raise place.error(f'"{name}": {err}') from None


def any_matches(patterns: List[str], name: str, place: Place) -> TextTest:
    """Whether one of the patterns matches a text."""
    regexes = compile_all(patterns, name, place)
    if len(regexes) == 1:
        return regexes[0].search
    return lambda text: any(regex.search(text) for regex in regexes)


def remembered(test: TextTest) -> TextTest:
    """The same test for texts of which a machine has few, such as paths of binaries."""
    known: Dict[str, bool] = {}

    def look(text: str) -> bool:
        if len(text) > _LONGEST:
            return test(text)
        answer = known.get(text)
        if answer is None:
            if len(known) >= _REMEMBERED:
                known.clear()
            answer = known[text] = test(text)
        return answer

    return look
