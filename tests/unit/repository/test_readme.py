# SPDX-License-Identifier: Apache-2.0
"""README.md tells the truth about flags, commands and paths."""

from __future__ import annotations

import re

from tests.support.paths import ROOT
from tetrapy.config.settings import SETTINGS
from tetrapy.config.values import show

README = (ROOT / "README.md").read_text()


def documented() -> dict[str, str]:
    """The flags in the table of settings, with their defaults."""
    rows = re.findall(r"^\| `--([a-z-]+)[^|]*\| *([^|]*?) *\|", README, re.MULTILINE)
    return {name: default.strip("`") for name, default in rows}


def test_the_settings_are_those_of_the_agent() -> None:
    """The table shows settings with their defaults; docs/configuration.md has all of them."""
    defaults = {setting.name: show(setting, setting.default) for setting in SETTINGS}
    assert documented()
    assert documented().items() <= defaults.items()


def test_every_flag_exists() -> None:
    """A flag that the text names anywhere is a setting, --help or --version."""
    flags = set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", README))
    assert flags - {setting.name for setting in SETTINGS} <= {"changed", "help", "version"}


def test_every_variable_exists() -> None:
    """An environment variable that the text names is a setting's, or the build's cache."""
    variables = set(re.findall(r"TETRAPY_[A-Z_]+", README))
    assert variables - {setting.variable for setting in SETTINGS} <= {"TETRAPY_CACHE"}


def test_every_make_target_of_the_documents_exists() -> None:
    """A `make NAME` in README.md or docs/ is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documents = [README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))]
    named = {
        target
        for text in documents
        for block in re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)
        for target in re.findall(r"\bmake ([a-z][a-z-]*)", block)
    }
    assert {"run", "test"} <= named
    assert named - targets == set()


def test_every_path_exists() -> None:
    """A path of the tree that the text names is there."""
    named = set(re.findall(r"`((?:agent|bench|bpf|btfs|docs|tests|tools)/[\w./-]*)`", README))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
