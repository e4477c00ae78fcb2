# SPDX-License-Identifier: Apache-2.0
"""agent/tetrapy/events/encoders.py: straight-line code that writes each message as JSON.

A field costs no look at its row when an event is written. Values go into one format string; those
that may be missing are texts that begin with a comma, or empty.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from tetrapy.events.schema import (
    CONVERSIONS,
    EVENTS,
    FIELDS,
    MADE,
    MESSAGES,
    PROCESS,
    REPEATED,
    SHARED,
)
from tetrapy.events.schema.field import ALWAYS, BEGUN, EXEC, ONE, Field
from tools.errors import BuildError
from tools.event_docs.encoders_head import HEAD, MAP
from tools.event_docs.expressions import (
    inner,
    is_sure,
    kept_name,
    locals_of,
    nested_name,
    optional,
    shown,
    value_of,
    variable,
)
from tools.fetch import ROOT

PATH = "agent/tetrapy/events/encoders.py"

_WIDTH = 85  # characters of a piece of a literal


class Form(NamedTuple):
    """One way to write a message."""

    function: str
    message: str
    rows: list[Field]
    about: str


def source() -> str:
    """The whole module."""
    forms = [*_nested(), *_processes(), *_events()]
    used = {row.through for form in forms for row in form.rows} - {""}
    modules: dict[str, list[str]] = {
        "tetrapy.json_codec": ["quoted"],
        "tetrapy.visible": ["json_bytes"],
    }
    for name in used:
        modules.setdefault(CONVERSIONS[name], []).append(name)
    imports = "\n".join(
        f"from {module} import {', '.join(sorted(names))}"
        for module, names in sorted(modules.items())
    )
    formats = ", ".join(f"\"{name}\": b'{_format(_filled(EVENTS[name]))}'" for name in MADE)
    head = HEAD.format(imports=imports, formats=formats)
    kept = {row.name: row for form in forms for row in form.rows if _is_kept(row)}
    maps = [MAP] if any(row.type == "map" for form in forms for row in form.rows) else []
    few = sorted(
        {row.name for form in forms for row in form.rows if row.few and not _is_of_probe(row)}
    )
    head += "\n\n" + "\n".join(f'_few_{name} = _Few("{name}")' for name in few) + "\n"
    parts = [head, *maps, *map(_kept, kept.values()), *map(_function, forms)]
    return _formatted("\n\n".join(parts))


def _formatted(text: str) -> str:
    """In the project's format. Raises BuildError; without the development tools too."""
    command = [str(ROOT / ".venv/bin/ruff"), "format", "--stdin-filename", PATH, "-"]
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, cwd=ROOT
        )
    except FileNotFoundError:
        raise BuildError(f"{command[0]} is missing: run `make setup`") from None
    if done.returncode:
        raise BuildError(f"ruff format {PATH}: {done.stderr.strip()}")
    return done.stdout


def _nested() -> list[Form]:
    """Messages in those of processes and events, the inner ones first."""
    found: dict[str, None] = {}

    def visit(message: str) -> None:
        for row in MESSAGES[message]:
            if row.is_filled and row.element in MESSAGES and row.element != PROCESS:
                visit(row.element)
        found[message] = None

    for message in [PROCESS, *(EVENTS[name] for name in MADE)]:
        visit(message)
    top = {PROCESS, *EVENTS.values()}
    return [Form(nested_name(one), one, _filled(one), "") for one in found if one not in top]


def _processes() -> list[Form]:
    rows = _filled(PROCESS)
    always = [row for row in rows if row.presence != EXEC]
    return [
        Form("process", PROCESS, [row for row in always if not row.setting], "As events show it."),
        Form("detailed_process", PROCESS, always, "With all that settings ask for."),
        Form("executed_process", PROCESS, rows, "As its own exec shows it."),
        Form(
            "unknown_process",
            PROCESS,
            [row for row in rows if row.presence in {ALWAYS, BEGUN}],
            "Whose beginning was not seen.",
        ),
        Form(
            "unseen_process",
            PROCESS,
            [row for row in rows if row.presence == ALWAYS],
            "Of which nothing but this is known.",
        ),
    ]


def _events() -> list[Form]:
    return [Form(name, EVENTS[name], _filled(EVENTS[name]), "") for name in MADE]


def _filled(message: str) -> list[Field]:
    return [row for row in FIELDS[message].values() if row.is_filled]


def _function(form: Form) -> str:
    is_event = form.message in EVENTS.values()
    kind = "bytes" if is_event or form.message == PROCESS else "str"
    more = ", lines: Lines, keep: Keep, ancestors: bytes" if is_event else ""
    lines = [f"def {form.function}(it: Any{more}) -> {kind}:"]
    if form.message in SHARED:
        lines.insert(0, "@lru_cache(maxsize=256)")
    about = f". {form.about}" if form.about else "."
    lines.append(f'    """Message `{form.message}`{about}"""')
    body = _event(form) if is_event else _text(form, kind)
    lines += [f"    {line}" for line in body]
    if any(row.presence == ONE for row in form.rows):
        lines.insert(0, _members(form))
    if is_event:
        lines.insert(0, _probes(form))
    if form.message in REPEATED:
        lines.append(f"\n\n{kept_name(form.message)} = _Kept({form.function}).__getitem__")
    return "\n".join(lines) + "\n"


def _members(form: Form) -> str:
    """What writes the value of each field of which the message has one, by name."""
    rows = [row for row in form.rows if row.presence == ONE]
    entries = ", ".join(f'"{row.name}": {_writer(row)}' for row in rows)
    return f"{form.function}_members: Dict[str, Callable[[Any], str]] = {{{entries}}}\n\n"


def _writer(row: Field) -> str:
    """A function that makes the value of a field text."""
    text = inner(row, f"{row.through}(it)" if row.through else "it")
    if text == "{it}":
        return "str"
    if text.startswith("{") and text.endswith("(it)}") and text.count("(") == 1:
        return text[1 : -len("(it)}")]
    return f"lambda it: f'{text}'"


def _text(form: Form, kind: str) -> Iterator[str]:
    """The body of a function that writes a message as one format string."""
    rows = [row for row in form.rows if row.presence != ONE]
    local = dict(locals_of([row for row in rows if not _is_kept(row)]))
    yield from (f"{name} = {value}" for value, name in local.items())
    parts: list[str] = []
    has_members = len(rows) < len(form.rows)
    if has_members:
        yield "member = it.member"
        parts.append(f'"{{member}}":{{{form.function}_members[member](it.value)}}')
    first_is_sure = has_members or is_sure(rows[0])
    for at, row in enumerate(rows):
        value = local.get(value_of(row), value_of(row))
        if _is_kept(row):
            yield f"{shown(row)} = _{row.name}[it.{row.source}]"
            parts.append(f"{{{shown(row)}}}")
        elif is_sure(row):
            comma = "," if at or has_members or not first_is_sure else ""
            parts.append(f'{comma}"{row.name}":{inner(row, value)}')
        else:
            yield optional(row, value)
            parts.append(f"{{{shown(row)}}}")
    if first_is_sure:
        text = _literal(["{{", *parts, "}}"])
    elif len(parts) == 1:
        yield f"text = {parts[0][1:-1]}"
        text = 'f"{{{text[1:]}}}"'
    else:
        yield f"text = ({_literal(parts)})"
        text = 'f"{{{text[1:]}}}"'
    yield f"return json_bytes({text})" if kind == "bytes" else f"return ({text})"


def _is_kept(row: Field) -> bool:
    """Whether the field's text is made once for all equal values."""
    return row.plain and row.type == "string" and bool(row.through)


def _kept(row: Field) -> str:
    """The texts of such a field."""
    return f'''
class _{row.name.title()}(Dict[Any, str]):
    """The field `{row.name}` of each value that occurred: a handful does."""

    def __missing__(self, value: Any) -> str:
        text = {row.through}(value)
        self[value] = shown = f',"{row.name}":"{{text}}"' if text else ""
        return shown


_{row.name} = _{row.name.title()}()
'''


def _literal(parts: list[str]) -> str:
    """Parts of a format string as one, of pieces that fit into a line."""
    lines = [""]
    for part in parts:
        if lines[-1] and len(lines[-1]) + len(part) > _WIDTH:
            lines.append("")
        lines[-1] += part
    return " ".join(f"f'{line}'" for line in lines)


def _format(rows: list[Field]) -> str:
    """The format of an event's message: what may be missing brings its name along."""
    parts = [
        f'{"," if at else ""}"{row.name}":{_mark(row)}' if is_sure(row) and not row.few else "%b"
        for at, row in enumerate(rows)
    ]
    return f"{{{''.join(parts)}}}"


def _mark(row: Field) -> str:
    """What stands in a format of bytes for the value of a field."""
    if row.type == "uint32":
        return "%d"
    return '"%b"' if row.plain else "%b"


def _event(form: Form) -> Iterator[str]:
    """The body of a function that puts an event's fields, processes among them, into its line."""
    values = []
    yield "time = rfc3339(it.time).encode()"
    of_probe = [row for row in form.rows if _is_of_probe(row)]
    if of_probe:
        yield f"{', '.join(map(shown, of_probe))} = _probes_of_{form.function}[it.probe]"
    for row in form.rows:
        if row in of_probe:
            values.append(shown(row))
        elif row.type == f"[{PROCESS}]":
            values.append(shown(row))
            yield f'{shown(row)} = b\',"{row.name}":\' + ancestors if ancestors else b""'
        elif row.few:
            values.append(f"_few_{row.name}[{value_of(row)}]")
        elif is_sure(row) and row.type != PROCESS:
            values.append(_bytes(row, value_of(row)))
        else:
            name = variable(row.name)
            yield f"{name} = {value_of(row)}"
            if is_sure(row):
                values.append(_bytes(row, name))
                continue
            values.append(shown(row))
            yield f"{shown(row)} = {_optional(row, name)}"
    yield f'return lines["{form.function}"] % ({", ".join(values)}, time)'


def _optional(row: Field, value: str) -> str:
    """The text of a field that may be missing."""
    test = f"{value} is not None" if row.type == PROCESS else value
    text = f"b',\"{row.name}\":{_mark(row)}' % {_bytes(row, value)}"
    if _mark(row) == "%b":
        text = f"b',\"{row.name}\":' + ({_bytes(row, value)})"
    return f'{text} if {test} else b""'


def _is_of_probe(row: Field) -> bool:
    """Whether all events of a hook have the same in the field."""
    return row.source.startswith("probe.")


def _probes(form: Form) -> str:
    """The fields of a probe, in the order of an event's; nothing of an event that has none."""
    rows = [row for row in form.rows if _is_of_probe(row)]
    if not rows:
        return ""
    fields = [
        f'_field("{row.name}", {value})' if row.few else f"({_optional(row, value)})"
        for row in rows
        for value in [value_of(row).replace("it.probe.", "it.")]
    ]
    return f"_probes_of_{form.function} = _Probes(lambda it: ({', '.join(fields)},))\n\n\n"


def _bytes(row: Field, value: str) -> str:
    """The value of a field for its mark."""
    if row.type == PROCESS and row.through:
        return f"{row.through}({row.name}, it.tid)"
    if row.type == PROCESS:
        return f"{row.name}.json or keep({row.name})"
    if row.type == "uint32":
        return value
    if row.plain:
        return "time" if value == "rfc3339(it.time)" else f"{value}.encode()"
    return f"json_bytes(f'{inner(row, value)}')"
