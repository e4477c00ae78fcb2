# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy explain`: texts as they are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.policies import kprobe, spec
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


def test_costs_are_those_that_were_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the table in docs/policies.md; by what a selector compares, not by what a hook reads."""
    lines = (ROOT / "docs/policies.md").read_text().splitlines()

    def measured(row: str) -> list[float]:
        (cell,) = (line.split("|")[2] for line in lines if line.startswith(f"| {row}"))
        return [float(one.strip(" +k").replace(",", "")) for one in cell.split(";")]

    assert measured("a getpgid that one number") == pytest.approx([explain.OF_NUMBERS], rel=0.05)
    assert measured("a pread that one Prefix") == pytest.approx([explain.OF_TEXTS], rel=0.05)
    matched = [explain.REPORTED / 1000, explain.WRITTEN / 1000]
    assert measured("a call that matches") == pytest.approx(matched, rel=0.05)
    arguments = "[{index: 0, type: int}, {index: 1, type: string}]"
    for index, value, cost in ((0, "1", "950"), (1, "/a", "2,300")):
        match = f"{{index: {index}, operator: Equal, values: ['{value}']}}"
        hook = f"{{call: f, args: {arguments}, selectors: [{{matchArgs: [{match}]}}]}}"
        (tmp_path / "p.yaml").write_text(spec(f"  kprobes: [{hook}]"))
        assert main(["policy", "explain", str(tmp_path / "p.yaml")]) == 0
        assert f"cost: some {cost} instructions" in capsys.readouterr().out


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
