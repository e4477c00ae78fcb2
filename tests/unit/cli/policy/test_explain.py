# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy explain`: texts as they are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.policies import kprobe
from tetrapy.cli.main import main
from tetrapy.cli.policy import explain
from tetrapy.cli.policy.words import _SENTENCES
from tetrapy.policy import names
from tetrapy.policy.later import Feature

TEXTS = Path(__file__).parents[3] / "data/explain"


@pytest.mark.parametrize("policy", sorted(path.stem for path in TEXTS.glob("*.yaml")))
def test_texts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """What stands beside the policy, in the width of a terminal."""
    monkeypatch.setattr(explain, "later", lambda _policy: [])
    assert main(["policy", "explain", str(TEXTS / f"{policy}.yaml")]) == 0
    shown = capsys.readouterr().out
    assert shown == (TEXTS / f"{policy}.txt").read_text()
    assert max(map(len, shown.splitlines())) <= 80


def test_what_is_not_there_yet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands above all hooks."""
    feature = Feature("magic", "spec.magic", "another part")
    monkeypatch.setattr(explain, "later", lambda _policy: [feature])
    main(["policy", "explain", str(TEXTS / "programs.yaml")])
    assert "\n  ! spec.magic: magic is not supported yet" in capsys.readouterr().out


def test_all_operators_have_words() -> None:
    """Those that are no expressions or pairs of sets have a sentence of their own."""
    assert {*names.OPERATORS} - {"CelExpr", "CapabilitiesGained"} == {*_SENTENCES}


def test_what_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Mistakes are told as check tells them; a file that is right is explained all the same."""
    (tmp_path / "bad.yaml").write_text(kprobe(", args: []"))
    (tmp_path / "good.yaml").write_text(kprobe())
    words = [str(tmp_path / name) for name in ("bad.yaml", "good.yaml")]
    assert main(["policy", "explain", *words]) == 1
    done = capsys.readouterr()
    assert "a: a TracingPolicy" in done.out
    assert done.err.startswith(f"{words[0]}:6:")
    assert main(["policy", "explain", str(tmp_path / "none.yaml")]) == 2
