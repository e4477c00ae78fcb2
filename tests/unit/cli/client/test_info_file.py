# SPDX-License-Identifier: Apache-2.0
"""Where the agent's address comes from when no flag gives it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tetrapy.cli.client import info_file
from tetrapy.daemon import info
from tetrapy.errors import TetrapyError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_name_is_the_agents() -> None:
    """The client does without the agent's modules."""
    assert info_file.NAME == info.NAME


def test_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our file, Tetragon's, Tetragon's default; files that tell none are passed over."""
    own, other = tmp_path / info_file.NAME, tmp_path / "other.json"
    monkeypatch.setattr(info_file, "RUN_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(info_file, "_TETRAGONS", str(other))
    assert info_file.server_address() == "localhost:54321"
    other.write_text(json.dumps({"server_address": "unix:///b"}))
    assert info_file.server_address() == "unix:///b"
    for content in ("", "[]", "{}", '{"server_address":""}', '{"server_address":1}'):
        own.write_text(content)
        assert info_file.server_address() == "unix:///b"
    own.write_text(json.dumps({"server_address": "unix:///a"}))
    assert info_file.server_address() == "unix:///a"
    assert info_file.read_info(str(own)) == {"server_address": "unix:///a"}
    own.write_text("x")
    with pytest.raises(TetrapyError, match="no info file"):
        info_file.read_info(str(own))
