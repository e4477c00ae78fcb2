# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.policies import kprobe, spec
from tetrapy.cli.main import main
from tetrapy.policy.json_schema import text

GOOD = kprobe(", selectors: [{matchActions: [{action: Post}]}]")
ACTING = spec("  loader: true\n  kprobes: [{call: f}, {call: g, message: m}]").replace("m}", "mm}")
LATER = kprobe(", selectors: [{matchActions: [{action: Sigkill}]}]").replace(
    "name: a", "name: kill"
)
BAD = spec("  probes: []\n  loader: 2")


@pytest.fixture(name="files")
def fixture_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    for name, content in {"good": GOOD, "acting": ACTING, "later": LATER, "bad": BAD}.items():
        (tmp_path / f"{name}.yaml").write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str], list[str]]:
    """Exit code, and the lines of both outputs."""
    code = main(["policy", *words])
    done = capsys.readouterr()
    return code, done.out.splitlines(), done.err.splitlines()


def test_files_that_are_right(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each, with what is hooked and what is not done yet."""
    assert run(capsys, "check", "good.yaml", "acting.yaml", "later.yaml") == (
        0,
        [
            "good.yaml: ok: a (1 kprobe)",
            "acting.yaml: ok: a (2 kprobes, loader)",
            "later.yaml: ok: kill (1 kprobe); not supported yet: action Sigkill",
        ],
        [],
    )


def test_mistakes_have_their_places(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, as compilers tell them; other files are reported all the same."""
    code, out, err = run(capsys, "check", "bad.yaml", "good.yaml")
    assert (code, out) == (1, ["good.yaml: ok: a (1 kprobe)"])
    assert err[0].startswith(
        'bad.yaml:5:3: spec.probes: "probes" is no field of spec; did you mean'
    )
    assert err[1].startswith('bad.yaml:6:11: spec.loader: is the number "2"; true or false')
    assert len(err) == 2


def test_warnings(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are marked, and no reason to refuse."""
    (files / "empty.yaml").write_text(spec("  {}"))
    code, out, err = run(capsys, "check", "empty.yaml")
    assert (code, out) == (0, ["empty.yaml: ok: a (no hooks)"])
    assert err == ["empty.yaml:5:3: warning: spec: has no hooks, so that nothing is told"]


def test_a_file_that_cannot_be_read(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, with the reason."""
    code, out, err = run(capsys, "check", "nowhere.yaml", "bad.yaml", ".")
    assert (code, out) == (255, [])
    assert err[0] == "Error: nowhere.yaml: no such file or directory"
    assert err[-1] == "Error: .: it is a directory"


def test_for_programs(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document, whatever is wrong."""
    code, out, err = run(capsys, "check", "--json", "later.yaml", "bad.yaml", "nowhere.yaml")
    later, bad, nowhere = json.loads("\n".join(out))["files"]
    assert (code, err) == (255, [])
    assert later == {
        "file": "later.yaml",
        "ok": True,
        "name": "kill",
        "namespace": "",
        "kind": "TracingPolicy",
        "hooks": {"kprobes": 1},
        "loader": False,
        "errors": [],
        "warnings": [],
        "later": [
            {
                "name": "action Sigkill",
                "path": "spec.kprobes[0].selectors[0].matchActions[0]",
                "part": "acting on processes",
            }
        ],
    }
    assert (bad["ok"], [one["path"] for one in bad["errors"]]) == (
        False,
        ["spec.probes", "spec.loader"],
    )
    assert (bad["errors"][1]["line"], bad["errors"][1]["column"]) == (6, 11)
    assert (nowhere["ok"], nowhere["unreadable"]) == (
        False,
        "nowhere.yaml: no such file or directory",
    )


def test_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """What docs/tracingpolicy.schema.json has."""
    code, out, err = run(capsys, "schema")
    assert (code, "\n".join(out) + "\n", err) == (0, text(), [])


@pytest.mark.parametrize("words", [["--help"], ["check", "-h"], ["help"]])
def test_help(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """In the width of a terminal."""
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, [])
    assert any("tetrapy policy check FILE..." in line for line in out)
    assert max(map(len, out)) <= 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no command is given"),
        (["chek"], "unknown command: chek"),
        (["check"], "no file is given"),
        (["check", "--jsn", "x"], "unknown flag: --jsn"),
        (["schema", "x"], "schema takes no arguments: x"),
    ],
)
def test_wrong_use(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    """It is said what is wrong, and where to read on."""
    assert run(capsys, *words) == (
        1,
        [],
        [f"Error: {message}", "Run tetrapy policy --help for its use."],
    )
