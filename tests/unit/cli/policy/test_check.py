# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.kernel_types import small_kernel
from tests.support.paths import ROOT
from tests.support.policies import kprobe, spec
from tetrapy.cli.main import main
from tetrapy.policy.json_schema import text

GOOD = kprobe(", selectors: [{matchActions: [{action: Post}]}]")
ACTING = spec("  loader: true\n  kprobes: [{call: f}, {call: g, message: m}]").replace("m}", "mm}")
ACTING = ACTING.replace(": a", ": acting", 1)
_CHANGED = "{path: /f, provider: p, name: n, selectors: [{matchActions: [{action: Override}]}]}"
LATER = spec(f"  usdts: [{_CHANGED}]").replace(": a", ": kill", 1)
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


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("command", ["check", "explain", "record"])
def test_standard_input(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    """`-` is what a file would be; without a policy there the errors name it."""
    with open("good.yaml", "rb") as good, open("bad.yaml", "rb") as bad:
        for file, expected in ((good, 0), (bad, 1)):
            kept = os.dup(0)
            os.dup2(file.fileno(), 0)
            try:
                code, out, err = run(capfd, command, "-")
            finally:
                os.dup2(kept, 0)
                os.close(kept)
            assert code == expected
            assert bool(out) == (expected == 0)
            assert all(line.startswith("-:") for line in err)
            assert bool(err) == (expected == 1)


def test_files_that_are_right(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each, with what is hooked and what is not done yet."""
    assert run(capsys, "check", "good.yaml", "acting.yaml", "later.yaml") == (
        0,
        [
            "good.yaml: ok: a (1 kprobe)",
            "acting.yaml: ok: acting (2 kprobes, loader)",
            "later.yaml: ok: kill (1 usdt); not supported yet: action Override",
        ],
        [],
    )


def test_two_policies_of_one_name(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An agent takes one of them; other directories may be other agents'."""
    (files / "twice.yaml").write_text(GOOD)
    assert run(capsys, "check", "acting.yaml", "good.yaml", "bad.yaml", "twice.yaml")[2][-1] == (
        "twice.yaml:1:1: warning: metadata.name: is that of good.yaml too: an agent refuses the"
        " second of them"
    )
    assert run(capsys, "check", "good.yaml", "twice.yaml")[0] == 0


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
    assert err == ["empty.yaml:5:3: warning: spec: has no hooks, so that nothing is reported"]


def test_a_file_that_cannot_be_read(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, with the reason."""
    code, out, err = run(capsys, "check", "nowhere.yaml", "bad.yaml")
    assert (code, out) == (2, [])
    assert err[0] == "Error: nowhere.yaml: no such file or directory"


def test_for_programs(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document, whatever is wrong."""
    code, out, err = run(capsys, "check", "--json", "later.yaml", "bad.yaml", "nowhere.yaml")
    later, bad, nowhere = json.loads("\n".join(out))["files"]
    assert (code, err) == (2, [])
    assert later == {
        "file": "later.yaml",
        "ok": True,
        "name": "kill",
        "namespace": "",
        "kind": "TracingPolicy",
        "hooks": {"usdts": 1},
        "loader": False,
        "errors": [],
        "warnings": [],
        "later": [
            {
                "name": "action Override",
                "path": "spec.usdts[0].selectors[0].matchActions[0]",
                "part": "acting on processes: of a static probe there is nothing to override; use"
                " a uprobe",
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


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--help"],
            "  check                     whether files are policies that can be loaded, and",
        ),
        (["help"], "Usage:"),
        (["check", "-h"], "  tetrapy policy check FILE|DIRECTORY..."),
        (["help", "check"], "  tetrapy policy check FILE|DIRECTORY..."),
    ],
)
def test_help(capsys: pytest.CaptureFixture[str], words: list[str], line: str) -> None:
    """In the width of a terminal."""
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, [])
    assert line in out
    assert max(map(len, out)) <= 82


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no command is given"),
        (["chek"], "unknown command: chek"),
        (["check"], "FILE|DIRECTORY is missing"),
        (["check", "--jsn", "x"], "unknown flag: --jsn"),
        (["check", "-o", "xml", "x"], 'invalid argument "xml" for "-o, --output" flag'),
        (["schema", "x"], "unknown argument: x"),
    ],
)
def test_wrong_use(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    """It is said what is wrong, and where to read on."""
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, [])
    assert err[0].startswith(f"Error: {message}")
    assert err[1].startswith("Run tetrapy policy")


def test_directories(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Policies in them and below, and no other files."""
    below = files / "d" / "e"
    below.mkdir(parents=True)
    (below / "one.yml").write_text(GOOD)
    (below / "two.json").write_text(json.dumps({"kind": "TracingPolicy"}))
    (below / "other.yaml").write_text("kind: Service\n")
    (below / "notes.txt").write_text(GOOD)
    code, out, err = run(capsys, "check", "d")
    assert (code, out) == (1, ["d/e/one.yml: ok: a (1 kprobe)"])
    assert err
    assert all(line.startswith("d/e/two.json:1:") for line in err)
    (files / "none").mkdir()
    code, out, err = run(capsys, "check", "none")
    assert (code, out) == (2, [])
    assert err[0].startswith("Error: none holds no policy")


@pytest.mark.skipif(not (ROOT / "build/bundle/bpf").is_dir(), reason="nothing is built")
def test_what_the_agent_would_refuse(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the rules' and of the agent's own limits the second are told as what is not there yet."""
    large = "{index: 1, type: char_buf, sizeArgIndex: 3, maxData: true}"
    text = kprobe().replace("{index: 0, type: int}", f"{large}, {large.replace('1', '0', 1)}")
    (files / "large.yaml").write_text(text)
    code, out, err = run(capsys, "check", "large.yaml")
    assert (code, err) == (0, [])
    what = "args: maxData of more than one argument"
    assert out == [f"large.yaml: ok: a (1 kprobe); not supported yet: {what}"]


def test_files_that_are_no_policies(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A hook of pre-commit is handed all files: those are passed over."""
    (files / "other.yaml").write_text("kind: Service\n")
    words = ["check", "--only-policies", "other.yaml", "good.yaml"]
    assert run(capsys, *words) == (0, ["good.yaml: ok: a (1 kprobe)"], [])
    assert run(capsys, "check", "other.yaml")[0] == 1


def test_a_kernel(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not there fails, with the kernel's name; each kernel is told of."""
    (files / "6.1.btf").write_bytes(small_kernel())
    (files / "there.yaml").write_text(GOOD.replace("call: f,", "call: do_mixed,"))
    code, out, err = run(capsys, "check", "--kernel", "6.1.btf", "good.yaml", "there.yaml")
    assert (code, out) == (1, ["there.yaml: ok: a (1 kprobe); 6.1.btf: all is there"])
    assert err == [
        (
            "good.yaml:6:12: 6.1.btf: spec.kprobes[0].call: the kernel's BTF has no function f:"
            " there is none, the compiler changed it, or a module has it"
        )
    ]
    code, out, err = run(capsys, "check", "-k", "6.1.btf", "-o", "json", "good.yaml")
    (report,) = json.loads("\n".join(out))["files"]
    assert (code, report["ok"], report["errors"]) == (1, False, [])
    (kernel,) = report["kernels"]
    assert (kernel["kernel"], len(kernel["errors"]), kernel["unanswered"]) == ("6.1.btf", 1, [])
    code, out, err = run(capsys, "check", "-k", "nowhere", "good.yaml")
    assert (code, out, err[0][:30]) == (2, [], "Error: kernel nowhere is no fi")


def test_sarif(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A result for each finding, by rules that are described; places count from 1."""
    (files / "6.1.btf").write_bytes(small_kernel())
    (files / "empty.yaml").write_text(spec("  {}"))
    (files / "absent.yaml").write_text(spec("  lsmhooks: [{hook: f}]"))
    words = ["check", "-o", "sarif", "-k", "6.1.btf"]
    code, out, err = run(
        capsys, *words, *"good.yaml bad.yaml later.yaml absent.yaml empty.yaml no.yaml".split()
    )
    document = json.loads("\n".join(out))
    assert (code, err, document["version"]) == (2, [], "2.1.0")
    (made,) = document["runs"]
    rules = made["tool"]["driver"]["rules"]
    found = [
        (
            one["ruleId"],
            one["level"],
            one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            one["locations"][0]["physicalLocation"].get("region", {}).get("startLine"),
        )
        for one in made["results"]
    ]
    assert found == [
        ("not-on-kernel", "error", "good.yaml", 6),
        ("invalid-policy", "error", "bad.yaml", 5),
        ("invalid-policy", "error", "bad.yaml", 6),
        ("not-supported-yet", "note", "later.yaml", None),
        ("not-on-kernel", "error", "absent.yaml", 5),
        ("probably-not-meant", "warning", "empty.yaml", 5),
    ]
    for one in made["results"]:
        rule = rules[one["ruleIndex"]]
        assert (rule["id"], rule["defaultConfiguration"]["level"]) == (one["ruleId"], one["level"])
    (invocation,) = made["invocations"]
    assert not invocation["executionSuccessful"]
    (note,) = invocation["toolExecutionNotifications"]
    assert note["message"]["text"] == "no.yaml: no such file or directory"
