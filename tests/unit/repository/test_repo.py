# SPDX-License-Identifier: Apache-2.0
"""The repository itself: what must hold for every file in it, and between its files."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.support.paths import ROOT

LINES = 350

# Written in pieces, so that this file does not name what it looks for.
MIRROR_HOSTS = [
    "deb.deb" + "ian.org",
    "security.deb" + "ian.org",
    "snapshot.deb" + "ian.org",
    "files.python" + "hosted.org",
    "pypi" + ".org",
    "registry.npm" + "js.org",
]
MACHINE_PATHS = ["/wo" + "rk/", "/tmp/br" + "ief"]


def tracked() -> list[Path]:
    """The files that git has or would take, as they are in the work tree."""
    # Root may look at another user's checkout.
    git = ["git", "-C", str(ROOT), "-c", "safe.directory=*"]
    listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run([*git, *listing], check=True, capture_output=True).stdout
    paths = {ROOT / name.decode() for name in listed.split(b"\0") if name}
    return sorted(path for path in paths if path.is_file())


def lines(path: Path) -> list[str]:
    """The lines of a text file; nothing for a file of bytes."""
    try:
        return path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        return []


@pytest.mark.slow
@pytest.mark.parametrize("needle", MIRROR_HOSTS + MACHINE_PATHS)
def test_no_file_names_a_mirror_or_a_path_of_one_machine(needle: str) -> None:
    """Mirrors come from apt's and pip's own settings; paths start at the repository's root."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        for number, line in enumerate(lines(path), 1)
        if needle in line
    ]
    assert found == []


def test_a_source_file_holds_one_subject() -> None:
    """No source file that somebody writes is longer than 350 lines."""
    sources = [path for path in tracked() if path.suffix in {".py", ".c", ".h", ".sh"}]
    long = [path for path in sources if len(lines(path)) > LINES]
    assert [str(path) for path in long if not is_generated(path)] == []


def is_generated(path: Path) -> bool:
    """Whether the head of a file says which tool writes it."""
    return any(line.startswith("Written by `python3 -m tools.") for line in lines(path)[:5])


@pytest.mark.slow
def test_nothing_is_left_unfinished() -> None:
    """No source file carries a note of work to be done."""
    note = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
    sources = [path for path in tracked() if path.suffix in {".py", ".c", ".h", ".sh"}]
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources
        for number, line in enumerate(lines(path), 1)
        if note.search(line)
    ]
    assert found == []


@pytest.mark.slow
def test_every_test_states_its_fact() -> None:
    """Each test function has a docstring."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in tracked()
        if path.name.startswith("test_") and path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if node.name.startswith("test_") and ast.get_docstring(node) is None
    ]
    assert found == []


def test_the_version_is_stated_once() -> None:
    """The version's text stands in agent/tetrapy/version.py and in no other source."""
    place = ROOT / "agent/tetrapy/version.py"
    stated = re.search(r'^__version__ = "(.+)"$', place.read_text(), re.MULTILINE)
    assert stated
    quoted = re.compile(rf"""["']v?{re.escape(stated[1])}["']""")
    sources = [path for path in tracked() if path.suffix in {".py", ".toml", ".sh"}]
    assert [path for path in sources if quoted.search("\n".join(lines(path)))] == [place]


def test_the_development_tools_know_the_bundled_releases() -> None:
    """What the agent imports is, for mypy and the unit tests, a release that is in the bundle."""
    lock = (ROOT / "tools/lock/dev-requirements.txt").read_text()
    wheels = tomllib.loads((ROOT / "tools/lock/wheels.toml").read_text())
    packages = "cel_python lark python_dateutil pyroute2 pyyaml six"
    for package in packages.split():
        pinned = re.search(rf"^{package.replace('_', '-')}==(\S+)", lock, re.MULTILINE)
        assert pinned
        assert any(name.split("-")[1] == pinned[1] for name in wheels[package]["files"])


def test_a_commit_is_judged_as_ci_judges_it() -> None:
    """The hooks of pre-commit fetch nothing, and between them run every part of `make lint`."""
    makefile = (ROOT / "Makefile").read_text()
    lint = re.search(r"^lint: (.+)$", makefile, re.MULTILINE)
    assert lint
    configuration = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in configuration["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in configuration["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    run = {hook["entry"].removeprefix("make --silent ") for hook in hooks}
    assert set(lint[1].split()) <= run


def test_unit_tests_lie_where_what_they_test_lies() -> None:
    """A folder of tests/unit is a room of the agent or a folder of the repository, or about it."""
    unit, agent = ROOT / "tests/unit", ROOT / "agent/tetrapy"
    tests = [path for path in tracked() if path.is_relative_to(unit)]
    folders = {path.parent.relative_to(unit) for path in tests} - {Path(), Path("repository")}
    assert [one for one in folders if not ((agent / one).is_dir() or (ROOT / one).is_dir())] == []
    modules = [path for path in tests if path.parent == unit]
    assert [one for one in modules if not (agent / one.name.removeprefix("test_")).exists()] == []
