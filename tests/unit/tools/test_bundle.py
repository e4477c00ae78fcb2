# SPDX-License-Identifier: Apache-2.0
"""The archive that a build takes in: for other objects than those that were built, or damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import DATA, ROOT
from tools import bundle
from tools.errors import BuildError

# It asks for less than the archive has.
OTHER = [(DATA / "sample.bpf.o").read_bytes()]


def test_a_need_that_the_archive_lacks_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A developer's build goes on, and says what will be missing and what to do."""
    monkeypatch.delenv("STRICT", raising=False)
    assert bundle._btf_archive(OTHER) == (ROOT / "btfs/archive.xz").read_bytes()
    said = capsys.readouterr()
    assert "make refresh-btfs" in said.err
    assert "only kernels that have BTF are served" in said.err
    assert said.out == ""


def test_a_need_that_the_archive_lacks_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make build STRICT=1` takes no archive of other objects, and CI builds so."""
    monkeypatch.setenv("STRICT", "1")
    with pytest.raises(BuildError, match=r"made for other BPF objects.*make refresh-btfs"):
        bundle._btf_archive(OTHER)
    assert "make test STRICT=1" in (ROOT / ".ci/run").read_text()


def test_a_damaged_archive_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is no archive gets into no build."""
    monkeypatch.delenv("STRICT", raising=False)
    monkeypatch.setattr(bundle, "_BTFS", tmp_path)
    (tmp_path / "archive.xz").write_bytes(b"rubbish")
    with pytest.raises(BuildError, match="make refresh-btfs"):
        bundle._btf_archive(OTHER)
