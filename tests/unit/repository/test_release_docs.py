# SPDX-License-Identifier: Apache-2.0
"""docs/install.md and docs/troubleshooting.md: commands that a test runs, messages that exist."""

from __future__ import annotations

import ast
import functools
import re

import pytest

from tests.support.paths import ROOT

DOCUMENTS = ("docs/install.md", "docs/troubleshooting.md")
SCRIPTS = ("tests/vm/service/lifecycle.sh", "tests/vm/service/packages.sh")

# Commands that no script of a guest runs, and why.
ELSEWHERE = {
    "sudo ./tetrapy.pyz --export-filename -": "it runs until a signal: tests/pyz starts it so",
    "sudo ./tetrapy-linux-amd64 --export-filename -": "likewise, in an empty root",
    "sudo rpm -i tetrapy-VERSION-1.x86_64.rpm": "the guest's Python is dpkg's: run with --nodeps",
}


def commands(document: str) -> list[str]:
    """The lines of all blocks of shell commands."""
    text = (ROOT / document).read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def run_in_guests() -> set[str]:
    """The lines of the scripts that guests run."""
    return {line for name in SCRIPTS for line in (ROOT / name).read_text().splitlines()}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_is_run_by_a_test(document: str) -> None:
    """Each stands, letter for letter, in a script of a guest, or among the exceptions."""
    assert len(commands(document)) > 5
    assert [c for c in commands(document) if c not in run_in_guests() | set(ELSEWHERE)] == []


def test_no_exception_is_out_of_date() -> None:
    """Each is a command of a document, and in no script."""
    documented = {command for document in DOCUMENTS for command in commands(document)}
    assert set(ELSEWHERE) <= documented
    assert set(ELSEWHERE) & run_in_guests() == set()


@functools.cache
def texts() -> list[str]:
    """What the agent and the scripts of a release can say."""
    found = [
        node.value
        for path in sorted((ROOT / "agent").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    scripts = ["install.sh", "uninstall.sh", "tools/release/deb/preinst"]
    # A sentence of a script may go on in its next line.
    return found + [re.sub(r'" ?\\\n\s+"', " ", (ROOT / name).read_text()) for name in scripts]


def messages() -> list[str]:
    """The messages in the tables of docs/troubleshooting.md."""
    text = (ROOT / "docs/troubleshooting.md").read_text()
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("message", messages())
def test_every_message_can_be_said(message: str) -> None:
    """Each part between dots is in a text of the agent or of a script."""
    known = texts()
    parts = [part.strip() for part in message.split("...") if part.strip(" :")]
    assert parts
    assert [part for part in parts if not any(part in text for text in known)] == []


def test_every_link_leads_somewhere() -> None:
    """To a file of docs/, and to a heading that is there."""
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)]+)\)", (ROOT / document).read_text()):
            name, _, heading = target.partition("#")
            path = ROOT / "docs" / name if name else ROOT / document
            assert path.exists(), target
            titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]
            assert not heading or heading in anchors, target
