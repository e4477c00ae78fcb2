# SPDX-License-Identifier: Apache-2.0
r"""Redaction: secrets in arguments and environment give way to ***** before anybody sees them.

Only what capture groups match is replaced. Filters are applied in turn, and the patterns of a
filter in turn, each to what the one before it left.

Two points are stricter than Tetragon, so that no secret stays. Tetragon matches what it found once
more on its own, where \b or ^ may hold no longer, and then replaces nothing; here the groups of
the match itself count. And a text for which the patterns would cost too much (regex.budget) is
replaced as a whole.
"""

from __future__ import annotations

from typing import Callable, List, Optional, Tuple

from tetrapy.events.executed import ExecutedFile
from tetrapy.filters.excess import excess
from tetrapy.filters.json_objects import fields_of, list_of_texts, objects_of
from tetrapy.filters.regex.budget import Budget, OverBudgetError
from tetrapy.filters.regex.regex import Regex
from tetrapy.filters.texts import any_matches, compile_all, remembered
from tetrapy.named import NamedTuple

MASK = "*****"
_FIELDS = ("match", "redact", "binary_regex")
_SETTING = "redaction-filters"
_MATCH_STEPS = 200  # to replace what one match has found
_VARIABLE_STEPS = 150  # to put a variable together for one pattern

Environment = Tuple[Tuple[str, str], ...]


class _Filter(NamedTuple):
    applies_to: Optional[Callable[[str], bool]]  # to which binaries; None: to all
    patterns: Tuple[Regex, ...]


class Redactor:
    """All redaction filters."""

    def __init__(self, filters: List[_Filter], warnings: List[str]) -> None:
        self._filters = filters
        self.warnings = warnings  # what the log should say at start

    def redact(
        self,
        binary: str,
        arguments: str,
        environment: Environment,
        file: Optional[ExecutedFile] = None,
    ) -> Tuple[str, Environment]:
        """Arguments and environment of a process that runs `binary`, redacted.

        A `file` that is not the one at this path counts as well: no secret stays.
        """
        budget = Budget()
        for one in self._filters:
            applies = one.applies_to
            if applies is not None and not (
                applies(binary) or (file is not None and (not file.is_known or applies(file.path)))
            ):
                continue
            for pattern in one.patterns:
                arguments = _redacted(pattern, arguments, budget)
            if environment:
                environment = _redacted_variables(one.patterns, environment, budget)
        return arguments, environment


def parse_redaction(text: str, setting: str) -> Optional[Redactor]:
    """The redactor of a setting's value; None when there is no filter. Raises SettingsError."""
    filters: List[_Filter] = []
    warnings: List[str] = []
    for place, value in objects_of(text, setting):
        fields = fields_of(value, _FIELDS, place)
        if "match" in fields:
            warnings.append(f'{place}: "match" is deprecated and does nothing; use "binary_regex"')
        binaries = list_of_texts(fields.get("binary_regex", []), "binary_regex", place)
        redact = list_of_texts(fields.get("redact", []), "redact", place)
        patterns = compile_all(redact, "redact", place)
        warnings += [
            f'{place}: "{pattern.pattern}" has no capture group, so it replaces nothing'
            for pattern in patterns
            if not pattern.groups
        ]
        if not redact:
            warnings.append(f'{place}: there is no "redact", so the filter replaces nothing')
        applies = None
        if binaries:
            # In doubt it is for the binary: no secret stays.
            applies = remembered(any_matches(binaries, "binary_regex", place, in_doubt=True))
        filters.append(_Filter(applies, tuple(one for one in patterns if one.groups)))
    return Redactor(filters, warnings) if filters else None


def redact_text(pattern: Regex, text: str, budget: Optional[Budget] = None) -> str:
    """`text` with what the pattern's groups match replaced. Raises OverBudgetError."""
    out: List[str] = []
    kept = 0  # up to here the text is in `out`
    for places in pattern.matches(text, budget):
        if budget is not None:
            budget.spend(_MATCH_STEPS)
        for begin, end in zip(places[2::2], places[3::2]):
            if begin < max(kept, places[0]):
                continue  # inside a group that is replaced already, or a group without a match
            out += (text[kept:begin], MASK)
            kept = end
    return "".join(out) + text[kept:] if out else text


def _redacted(pattern: Regex, text: str, budget: Budget) -> str:
    """The same, or nothing of the text where that would cost too much."""
    try:
        return redact_text(pattern, text, budget)
    except OverBudgetError:
        excess.note(_SETTING, pattern.pattern)
        return MASK


def _redacted_variables(
    patterns: Tuple[Regex, ...], environment: Environment, budget: Budget
) -> Environment:
    """Each variable is redacted as the text `key=value`; what is left then is not shown at all."""
    out: List[Tuple[str, str]] = []
    try:
        for key, value in environment:
            budget.spend(_VARIABLE_STEPS * len(patterns))
            out.append(_redacted_variable(patterns, key, value, budget))
    except OverBudgetError:
        excess.note(_SETTING, patterns[0].pattern)
        out += [("invalid", MASK)] * (len(environment) - len(out))
    return tuple(out)


def _redacted_variable(
    patterns: Tuple[Regex, ...], key: str, value: str, budget: Budget
) -> Tuple[str, str]:
    text = redacted = f"{key}={value}"
    for pattern in patterns:
        redacted = _redacted(pattern, redacted, budget)
    if redacted == text:
        return key, value
    name, equals, rest = redacted.partition("=")
    return (name, rest) if equals else ("invalid", redacted)
