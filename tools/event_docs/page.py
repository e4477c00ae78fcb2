# SPDX-License-Identifier: Apache-2.0
"""docs/events.md: every event and every field of it."""

from __future__ import annotations

from tetrapy.events.schema import COMMON_ROWS, ENUMS, EVENT_ROWS, EVENTS, MADE, MESSAGES
from tetrapy.events.schema.field import ALWAYS, BEGUN, EXEC, KNOWN, ONE, OWN, SET, Field

_HEAD = """\
# Events

<!-- Written by `python3 -m tools.event_docs` from agent/tetrapy/events/schema. Do not edit. -->

A line is one event, as JSON in the form of protojson with the names of Tetragon's .proto files:
64-bit numbers are texts, times are UTC with up to nine digits behind the point.
[events.schema.json](events.schema.json) says the same as a JSON Schema. Field filters
([filters.md](filters.md)) may leave out any field of an event's own message.

| there | means |
|---|---|
| always | in each line |
| begun | always, but for a process of which nothing is known but its pid |
| known | always, but for a process whose beginning was never seen |
| set | when it is not empty, 0 or false; a `UInt32Value` when it is known, even if it is 0 |
| one | of all fields of the message that say so one is there |
| exec | as set, and only in the `process` of a `process_exec` |

`[type]` is a list. "no." is the field's number in the .proto files; tetrapy's own fields have
numbers from 1000 on.
"""

_PRESENCE = {ALWAYS: "always", BEGUN: "begun", KNOWN: "known", SET: "set", ONE: "one", EXEC: "exec"}


def markdown() -> str:
    """The document."""
    parts = [_HEAD]
    rows = [row for row in EVENT_ROWS if row.is_filled]
    parts.append("## A line\n\n" + _table([*rows, *(r for r in COMMON_ROWS if r.is_filled)]))
    parts += [f"## {name}\n\n{_about(name)}\n\n" + _table(_filled(EVENTS[name])) for name in MADE]
    parts += [f"## {message}\n\n" + _table(_filled(message)) for message in _inner()]
    parts.append("## Enums\n\n" + _enums())
    later = ", ".join(f"`{row.name}`" for row in EVENT_ROWS if not row.is_filled)
    parts.append(
        "## Later\n\n"
        f"Filters may name these events and the fields of their messages, but nothing makes them\n"
        f"yet: {later}.\n"
    )
    return "\n".join(parts)


def _about(name: str) -> str:
    (row,) = (row for row in EVENT_ROWS if row.name == name)
    return row.help[0].upper() + row.help[1:] + "."


def _filled(message: str) -> list[Field]:
    return [row for row in MESSAGES[message] if row.is_filled]


def _inner() -> list[str]:
    """The messages inside of events, the outer ones first."""
    found: list[str] = []

    def visit(message: str) -> None:
        for row in _filled(message):
            if row.element in MESSAGES and row.element not in found:
                found.append(row.element)
                visit(row.element)

    for name in MADE:
        visit(EVENTS[name])
    return [*found, "AggregationInfo"]


def _table(rows: list[Field]) -> str:
    lines = ["| field | no. | type | there | meaning |", "|---|---|---|---|---|"]
    for row in rows:
        meaning = row.help
        if row.setting:
            meaning += f" (`--{row.setting}`)"
        kind = f"[{row.type}](#{row.type.lower()})" if row.type in MESSAGES else f"`{row.type}`"
        if row.is_repeated and row.element in MESSAGES:
            kind = f"list of [{row.element}](#{row.element.lower()})"
        if row.type in EVENTS.values():
            kind = f"[{row.type}](#{row.name})"
        there = _PRESENCE[row.presence]
        lines.append(f"| `{row.name}` | {row.number} | {kind} | {there} | {meaning.strip()} |")
    return "\n".join(lines) + "\n"


def _enums() -> str:
    lines = ["| enum | values |", "|---|---|"]
    for name, values in ENUMS.items():
        shown = ", ".join(f"`{value}` {number}" for value, number in values.items())
        lines.append(f"| `{name}` | {shown} |")
    return "\n".join(lines) + "\n"


assert OWN == 1000  # the text above says so
