# SPDX-License-Identifier: Apache-2.0
"""Words of the client's command line."""

from __future__ import annotations

from typing import Any

import pytest

from tetrapy.cli.client.arguments import expressions, parse
from tetrapy.cli.client.command import EXPRESSIONS, Flag
from tetrapy.config.setting import BOOL, DURATION, INT, LIST, STRING, Setting
from tetrapy.errors import SettingsError

FLAGS = tuple(
    map(
        Flag,
        (
            Setting("all", BOOL, False, "", short="a"),
            Setting("build", BOOL, True, "", short="b"),
            Setting("output", STRING, "json", "", short="o", choices=("json", "text")),
            Setting("name", LIST, (), "", short="n"),
            Setting("count", INT, 1, ""),
            Setting("wait", DURATION, 2, ""),
            Setting("kind", LIST, (), "", choices=("A", "B")),
            Setting("cel", EXPRESSIONS, (), ""),
        ),
    )
)
DEFAULTS = {row.name: row.default for row, _ in FLAGS}


@pytest.mark.parametrize(
    ("words", "changed", "arguments"),
    [
        ("", {}, ""),
        ("-a x --build=false y", {"all": True, "build": False}, "x y"),
        ("-ab -otext", {"all": True, "build": True, "output": "text"}, ""),
        ("-o=text -o json", {"output": "json"}, ""),
        ("-ao text", {"all": True, "output": "text"}, ""),
        ("--name a,b -n c", {"name": ("a", "b", "c")}, ""),
        ("--name=", {}, ""),
        ("--count -3 --wait 1m", {"count": -3, "wait": 60_000_000_000}, ""),
        ("--kind B,A", {"kind": ("B", "A")}, ""),
        ("-a -- -o x", {"all": True}, "-o x"),
        ("- -h", {"help": True}, "-"),
        ("--help", {"help": True}, ""),
    ],
)
def test_what_is_understood(words: str, changed: dict[str, Any], arguments: str) -> None:
    """Long and short flags in all their forms, with arguments between them."""
    values, rest = parse(words.split(), FLAGS)
    assert values == {**DEFAULTS, **changed}
    assert rest == arguments.split()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--none", "unknown flag: --none"),
        ("-az", "unknown shorthand flag: 'z' in -az"),
        ("--output", "flag needs an argument: --output"),
        ("-o", "flag needs an argument: 'o' in -o"),
        ("-o x", 'invalid argument "x" for "-o, --output" flag: please provide one of'),
        ("--kind C", 'invalid argument "C" for "--kind" flag'),
        ("--count x", "it is a number"),
        ("--count 99999999999", "it is a number"),
        ("--count 3000000000", "too large"),
        ("--wait x", "it is a duration"),
        ("-a=x", "it is true or false"),
    ],
)
def test_what_is_not(words: str, message: str) -> None:
    """The error names the flag, what was given and what would be right."""
    with pytest.raises(SettingsError) as caught:
        parse(words.split(), FLAGS)
    assert message in str(caught.value)


def test_elements_in_quotes() -> None:
    """As in a line of a CSV file."""
    values, _ = parse(["-n", 'a,"b,c"'], FLAGS)
    assert values["name"] == ("a", "b,c")
    with pytest.raises(SettingsError, match="list with commas"):
        parse(["-n", '"d'], FLAGS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("a == 1", ("a == 1",)),
        ("a,b", ("a", "b")),
        ("x in [1, 2], y", ("x in [1, 2]", " y")),
        ("f(a, {'k': 1, \"l\": 2})", ("f(a, {'k': 1, \"l\": 2})",)),
        ("p == 'a,b\\',c'", ("p == 'a,b\\',c'",)),
        ('p == "a,(b"', ('p == "a,(b"',)),
        ('"x in [1, 2]",y', ("x in [1, 2]", "y")),
        ('"a" == p', ('"a" == p',)),
    ],
)
def test_expressions(text: str, expected: tuple[str, ...]) -> None:
    """Commas part them only outside brackets and texts; what Tetragon's client takes is taken."""
    assert expressions(text) == expected
