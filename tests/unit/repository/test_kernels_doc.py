# SPDX-License-Identifier: Apache-2.0
"""docs/kernels.md, which is written from what the guests left, and the list of kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm import report
from tests.vm.ways import WAYS
from tools.guest import kernels


def rows(text: str, head: str) -> list[list[str]]:
    """The cells of the table whose first column is headed so, line by line."""
    lines = text[text.index(f"| {head} |") :].split("\n\n", maxsplit=1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_document_has_exactly_the_kernels_of_the_list() -> None:
    """Each kernel that guests boot is in the document, with its release; no other is."""
    listed = [[kernel.name, kernel.release, kernel.version] for kernel in kernels.load()]
    text = report.DOCUMENT.read_text()
    assert [row[:3] for row in rows(text, "kernel")] == listed
    assert "**wrong**" not in text


def test_the_document_has_every_way() -> None:
    """Each way of running the agent is reported, so none was added behind the document's back."""
    text = report.DOCUMENT.read_text()
    reported = {line.split("**")[1] for line in text.splitlines() if line.startswith("- **")}
    assert reported | {row[0] for row in rows(text, "session")} == set(WAYS)


def test_a_run_that_is_not_complete_is_not_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a guest left nothing the report says so and writes nothing."""
    monkeypatch.setattr(report, "LEFT", tmp_path)
    monkeypatch.setattr(report, "DOCUMENT", tmp_path / "kernels.md")
    assert report.main() == 2
    assert "make vm" in capsys.readouterr().err
    assert not (tmp_path / "kernels.md").exists()
