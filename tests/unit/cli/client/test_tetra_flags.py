# SPDX-License-Identifier: Apache-2.0
"""The table of commands beside that of Tetragon's client (tests/data/tetra_flags.tsv)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tetrapy.cli.client.commands import COMMANDS

DATA = Path(__file__).resolve().parents[3] / "data"
# Command, a flag's name and letter, as the client built from Tetragon's sources has.
ROWS = [line.split("\t") for line in (DATA / "tetra_flags.tsv").read_text().splitlines()]
BY_NAME = {command.name: command for command in COMMANDS}


@pytest.mark.parametrize("name", sorted({row[0] for row in ROWS}))
def test_each_command_has_its_flags(name: str) -> None:
    """By name and letter, in the command or, for those of a group, in each of its commands."""
    inside = [one for one in COMMANDS if one.name == name or one.name.startswith(f"{name} ")]
    assert name in BY_NAME
    for _, flag, letter in (row for row in ROWS if row[0] == name and row[1]):
        own = {one.row.name: one.row for one in BY_NAME[name].flags}
        found = (
            [own]
            if flag in own or len(inside) == 1
            else [
                {one.row.name: one.row for one in command.flags}
                for command in inside
                if command.run
            ]
        )
        for flags in found:
            assert flags[flag].short == letter
