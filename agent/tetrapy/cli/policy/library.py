# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy library`: the policies that tetrapy carries."""

from __future__ import annotations

import textwrap
from typing import List

from tetrapy.cli.client.arguments import Values
from tetrapy.cli.config import write
from tetrapy.daemon import policy_library
from tetrapy.errors import SettingsError
from tetrapy.json_codec import dumps

LIST, SHOW = "list", "show"
_WIDTH, _INDENT = 80, 24


def run(options: Values, arguments: List[str]) -> int:
    """List the policies, or show the named ones; returns the exit code. Raises SettingsError."""
    command, *given = arguments or [LIST]
    if command == LIST and not given:
        return _list(as_json=options["output"] == "json")
    if command == SHOW and given:
        return write("---\n".join(policy_library.text(name) for name in given))
    raise SettingsError(f"{LIST}, or {SHOW} with a name, is expected, not {' '.join(arguments)}")


def _list(*, as_json: bool) -> int:
    rows = []
    for name, text in policy_library.policies().items():
        first, more = policy_library.header(text)
        rows.append({"name": name, "summary": first, "notes": " ".join(" ".join(more).split())})
    if as_json:
        return write(dumps({"policies": rows}, indent=True).decode() + "\n")
    lines = []
    for row in rows:
        wrapped = textwrap.wrap(
            row["summary"],
            _WIDTH,
            initial_indent=row["name"].ljust(_INDENT),
            subsequent_indent=" " * _INDENT,
        )
        lines += wrapped
    return write("".join(f"{line}\n" for line in lines))
