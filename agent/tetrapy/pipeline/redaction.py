r"""Redaction: secrets in arguments and environment give way to ***** before anybody sees them.

Only what capture groups match is replaced. Filters are applied in turn, and the patterns of a
filter in turn, each to what the one before it left.

Two points are stricter than Tetragon, so that no secret stays. Tetragon matches what it found once
more on its own, where \b or ^ may hold no longer, and then replaces nothing; here the groups of
the match itself count. And a text beyond `_LONGEST` characters for which a pattern could cost too
much (tetrapy.pipeline.regex) is replaced as a whole if the pattern matches.
"""

from __future__ import annotations

from typing import Callable, List, Optional, Tuple

from tetrapy.named import NamedTuple
from tetrapy.pipeline.filters.texts import any_matches, compile_all, remembered
from tetrapy.pipeline.json_objects import fields_of, list_of_texts, objects_of
from tetrapy.pipeline.regex.regex import Regex

MASK = "*****"
_FIELDS = ("match", "redact", "binary_regex")
_LONGEST = 16 * 1024

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
        self, binary: str, arguments: str, environment: Environment
    ) -> Tuple[str, Environment]:
        """Arguments and environment of a process that runs `binary`, redacted."""
        for one in self._filters:
            if one.applies_to is not None and not one.applies_to(binary):
                continue
            for pattern in one.patterns:
                arguments = redact_text(pattern, arguments)
            if environment:
                environment = tuple(
                    _redact_variable(one.patterns, key, value) for key, value in environment
                )
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
        applies = remembered(any_matches(binaries, "binary_regex", place)) if binaries else None
        filters.append(_Filter(applies, tuple(one for one in patterns if one.groups)))
    return Redactor(filters, warnings) if filters else None


def redact_text(pattern: Regex, text: str) -> str:
    """`text` with what the pattern's groups match replaced."""
    if len(text) > _LONGEST and len(text) > pattern.longest_cheap:
        return MASK if pattern.search(text) else text
    out: List[str] = []
    kept = 0  # up to here the text is in `out`
    for places in pattern.matches(text):
        for begin, end in zip(places[2::2], places[3::2]):
            if begin < max(kept, places[0]):
                continue  # inside a group that is replaced already, or a group without a match
            out += (text[kept:begin], MASK)
            kept = end
    return "".join(out) + text[kept:] if out else text


def _redact_variable(patterns: Tuple[Regex, ...], key: str, value: str) -> Tuple[str, str]:
    """A variable is redacted as the text `key=value`."""
    text = redacted = f"{key}={value}"
    for pattern in patterns:
        redacted = redact_text(pattern, redacted)
    if redacted == text:
        return key, value
    name, equals, rest = redacted.partition("=")
    return (name, rest) if equals else ("invalid", redacted)
