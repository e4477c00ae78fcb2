# SPDX-License-Identifier: Apache-2.0
"""`tetrapy config`, and what the agent's command line does with settings."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from tetrapy.cli import config
from tetrapy.cli import main as entry
from tetrapy.config import help as texts
from tetrapy.config.settings import SETTINGS
from tetrapy.config.sources import read
from tetrapy.version import __version__


def shown(capsys: pytest.CaptureFixture[str], root: Path, *words: str, **variables: str) -> str:
    """What it prints on standard output."""
    assert config.main(list(words), variables, str(root)) == 0
    return capsys.readouterr().out


def test_every_setting_with_its_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line each, in the order of the table, columns aligned."""
    path = tmp_path / "etc/tetrapy/tetrapy.conf.d/process-cache-gc-interval"
    path.parent.mkdir(parents=True)
    path.write_text("90s\n")
    head, *lines = shown(
        capsys, tmp_path, "-d", TETRAPY_ENABLE_ANCESTORS="base kprobe"
    ).splitlines()
    assert [line.split()[0] for line in lines] == [setting.name for setting in SETTINGS]
    columns = [head.index(title) for title in ("SETTING", "VALUE", "SET BY")]
    rows = {
        line[: columns[1]].strip(): (line[columns[1] : columns[2]].strip(), line[columns[2] :])
        for line in lines
    }
    assert rows["debug"] == ("true", "--debug")
    assert rows["enable-ancestors"] == ("base,kprobe", "TETRAPY_ENABLE_ANCESTORS")
    assert rows["process-cache-gc-interval"] == ("1m30s", str(path))
    assert rows["export-file-perm"] == ("600", "default")
    assert rows["btf"] == ("", "default")


def test_only_what_was_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--changed leaves out what is at its default, also where something sets it to that."""
    text = shown(capsys, tmp_path, "--changed", "--rb-size=1M", "--btf-check", "--procfs=/p")
    assert [line.split()[0] for line in text.splitlines()] == ["SETTING", "procfs", "rb-size"]


@pytest.mark.parametrize("words", [["-o", "json"], ["--output=json"], ["-o=JSON"]])
def test_a_document_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """Value and default as they are written, source, and whether it has an effect."""
    text = shown(capsys, tmp_path, *words, "--changed", "--enable-k8s-api", "--rb-size=1M")
    assert json.loads(text) == {
        "settings": [
            {
                "name": "rb-size",
                "value": "1048576",
                "default": "0",
                "source": "--rb-size",
                "effect": True,
            },
            {
                "name": "enable-k8s-api",
                "value": "true",
                "default": "false",
                "source": "--enable-k8s-api",
                "effect": False,
            },
        ]
    }


def test_what_would_be_logged_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Slips, and settings without effect, on standard error."""
    variables = {"TETRAPY_DEBUGG": "1"}
    assert config.main(["--enable-cri"], variables, str(tmp_path)) == 0
    assert capsys.readouterr().err.splitlines() == [
        "Unknown setting is ignored; did you mean debug? (setting: debugg, source: TETRAPY_DEBUGG)",
        "--enable-cri has no effect yet: Kubernetes support comes later",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nope"], "Error: unknown flag: --nope"),
        (["word"], "Error: unknown argument: word"),
        (["-o", "xml"], 'Error: --output: output is "xml", not one of text, json'),
        (["--rb-size=x"], 'Error: --rb-size: rb-size is "x", not a number, with K, M or G'),
        (
            ["--rb-size=1", "--rb-size-total=1"],
            "Error: Can't specify --rb-size and --rb-size-total together",
        ),
    ],
)
def test_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    """Exit code 1 and the agent's own message."""
    assert config.main(words, {}, str(tmp_path)) == 1
    assert capsys.readouterr() == ("", message + "\n")


def test_values_do_not_move_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines and control characters are escaped in the table."""
    text = shown(capsys, tmp_path, "--changed", "--export-denylist={}\n{}", "--btf=\x1b[2J\udcff")
    assert "{}\\n{}" in text
    assert "\\x1b[2J\\udcff" in text


def test_help_of_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own flags."""
    text = shown(capsys, tmp_path, "--help")
    assert {"--changed", "--output"} <= set(text.replace(",", "").split())
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_terminal_of_another_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """What it cannot show is escaped."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    assert config.write("\u00fc\udcff\n") == 0
    stream.seek(0)
    assert stream.read() == {"ascii": "\\xfc\\udcff\n", "utf-8": "\u00fc\\udcff\n"}[encoding]


def test_no_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nobody to tell."""
    monkeypatch.setattr(sys, "stdout", None)
    assert config.write("x") == 0


# --- the agent's own command line ------------------------------------------------------------


def agent(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = entry.main(list(words))
    return code, *capsys.readouterr()


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], ["--debug", "--help"]])
def test_help(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """Every flag with its default, which have no effect and why, at most 80 columns."""
    code, text, errors = agent(capsys, *words)
    assert (code, errors) == (0, "")
    assert max(map(len, text.splitlines())) <= 80
    with_effect, _, without = text.partition("without effect:")
    for setting in SETTINGS:
        part = without if setting.no_effect else with_effect
        assert f"--{setting.name}" in part.replace("[=false]", " ").replace(",", " ").split()
    plain = " ".join(with_effect.split())
    assert "permissions of a new export file, in octal" in plain
    assert "(default 15s)" in plain
    assert "yet: Kubernetes support comes later" in without
    assert "TETRAPY_EXPORT_FILENAME" in text
    assert "Exit codes: 0" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the version alone and ends."""
    assert agent(capsys, "--version") == (0, f"{__version__}\n", "")


def test_generated_docs(capsys: pytest.CaptureFixture[str]) -> None:
    """--generate-docs prints each flag with its default, as YAML."""
    import yaml

    code, text, _errors = agent(capsys, "--generate-docs")
    assert code == 0
    options = yaml.safe_load(text)["options"]
    assert [option["name"] for option in options] == sorted(one.name for one in SETTINGS)
    (debug,) = [option for option in options if option["name"] == "debug"]
    assert (debug["shorthand"], debug["default_value"]) == ("d", "false")


def test_wrong_use_of_the_agent(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and where to find the flags."""
    code, text, errors = agent(capsys, "--nope")
    assert (code, text) == (1, "")
    assert errors == "Error: unknown flag: --nope\nRun tetrapy --help for the flags.\n"


def test_the_agents_own_path_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Container commands name the program again behind an image that starts it already."""
    program = tmp_path / "tetrapy"
    program.touch()
    (tmp_path / "link").symlink_to(program)
    monkeypatch.setattr(sys, "argv", [str(program)])
    for path in (program, tmp_path / "link"):
        assert agent(capsys, str(path), "--version")[0] == 0
        assert agent(capsys, str(path), "config", "--changed")[0] == 0
    code, _text, errors = agent(capsys, str(tmp_path / "other"), "--version")
    assert (code, errors.splitlines()[0]) == (1, f"Error: unknown argument: {tmp_path}/other")


def test_config_is_a_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads the process' own environment."""
    monkeypatch.setattr(os, "environ", {"TETRAPY_BTF": "/from/environment"})
    code, text, _errors = agent(capsys, "config", "--changed")
    assert code == 0
    assert ["btf", "/from/environment", "TETRAPY_BTF"] in [
        line.split() for line in text.splitlines()
    ]


def test_what_was_noticed_is_logged() -> None:
    """Notes with their levels and keys, then a warning for each setting without effect."""
    lines: list[tuple[object, ...]] = []
    settings = read(["--enable-cri"], {"TETRAPY_DEBUGG": "1"}, "/nowhere")
    entry.log_notes(settings, lambda level, message, **keys: lines.append((level, message, keys)))
    assert lines == [
        (
            "warn",
            "Unknown setting is ignored; did you mean debug?",
            {"setting": "debugg", "source": "TETRAPY_DEBUGG"},
        ),
        ("warn", "--enable-cri has no effect yet: Kubernetes support comes later", {}),
    ]


def test_reasons_are_grouped() -> None:
    """Every setting without effect is in one group of --help."""
    groups = texts.without_effect()
    names = [name for group in groups.values() for name in group]
    assert sorted(names) == sorted(one.name for one in SETTINGS if one.no_effect)
