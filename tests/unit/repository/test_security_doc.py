# SPDX-License-Identifier: Apache-2.0
"""docs/security.md names, for every promise, a test that there is, and settings that there are."""

from __future__ import annotations

import re

from bench.reliability.attacks import ATTACKS
from bench.reliability.checks import CHECKS
from tests.support.paths import ROOT
from tetrapy.config.settings import SETTINGS

TEXT = (ROOT / "docs/security.md").read_text()
# The rows of the tables, without their heads.
PROMISES = [
    row for row in re.findall(r"^\| (?!promise)[^-].*\|$", TEXT, re.MULTILINE) if row.strip("|- ")
]


def test_every_promise_is_held_by_something() -> None:
    """The last cell of each row names a row of the attacks, or a test."""
    assert len(PROMISES) > 15
    without = [row for row in PROMISES if not re.search(r"attack: |tests/|every row", _last(row))]
    assert without == []


def test_every_attack_exists() -> None:
    """And each attack and check is named somewhere, or is the quiet one."""
    named = set(re.findall(r"`attack: ([^`]+)`", TEXT))
    names = {one.name for one in ATTACKS} | set(CHECKS) | {"NAME"}
    assert named - names == set()
    assert names - named <= {"no attack"} | {one.name for one in ATTACKS}


def test_every_test_exists() -> None:
    """A path below tests is there, and so is the function behind it."""
    for path, _, function in re.findall(r"`(tests/[\w/]+\.py)(::(\w+))?`", TEXT):
        assert (ROOT / path).exists(), path
        assert not function or f"def {function}(" in (ROOT / path).read_text(), function


def test_every_setting_exists() -> None:
    """A flag that a bound names is a setting, but those of the commands of the benchmark."""
    flags = set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", TEXT))
    assert flags - {setting.name for setting in SETTINGS} == set()


def _last(row: str) -> str:
    return row.rstrip("| ").rpartition(" | ")[2]
