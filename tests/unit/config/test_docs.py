# SPDX-License-Identifier: Apache-2.0
"""What is written from the table of settings: documents and completions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tetrapy.cli.btf.commands import COMMANDS as BTF_COMMANDS
from tetrapy.cli.client.commands import COMMANDS
from tetrapy.cli.client.flags import GLOBAL
from tetrapy.cli.policy.commands import COMMANDS as POLICY_COMMANDS
from tetrapy.config.settings import SETTINGS
from tetrapy.config.sources import read
from tools.settings_docs.client_manual import PATH as CLIENT_MANUAL
from tools.settings_docs.client_manual import manual as client_manual
from tools.settings_docs.pages import pages, sources

PAGES = pages()
GENERATED = {**PAGES, **sources(), CLIENT_MANUAL: client_manual()}
CLIENT = [one.name for one in COMMANDS if len(one.words) == 1 and not one.hidden]
ALL_CLIENT = [f"--{flag.row.name}" for flag in GLOBAL] + ["--help"]
FLAGS = [f"--{setting.name}" for setting in SETTINGS]


@pytest.mark.parametrize("path", sorted(GENERATED))
def test_nothing_is_stale(path: str) -> None:
    """`python3 -m tools.settings_docs` writes what is committed."""
    assert (ROOT / path).read_text() == GENERATED[path], "run python3 -m tools.settings_docs"


@pytest.mark.parametrize("path", sorted(PAGES))
def test_every_setting_is_there(path: str) -> None:
    """In each document and completion."""
    text = re.sub(r"\\f[BIR]", "", PAGES[path].replace("\\-", "-"))
    dashes = "-l " if path.endswith(".fish") else "--"
    words = set(re.findall(rf"(?<![\w-]){dashes}([a-z0-9-]+)", text))
    assert {setting.name for setting in SETTINGS} - words == set()
    assert "@" not in re.sub(r"\$@|\"\$@\"", "", text)


def test_the_example_of_yaml_is_valid(tmp_path: Path) -> None:
    """The document's file is read without a complaint."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGES["docs/configuration.md"], re.DOTALL)
    path = tmp_path / "etc/tetrapy/tetrapy.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(example)
    settings = read([], {}, str(tmp_path))
    assert settings.notes == ()
    assert settings.export_file_max_size_mb == 100
    assert settings.enable_process_cred is True
    assert settings.export_denylist.count("\n") == 1


def test_no_cell_breaks_a_table() -> None:
    """Each row of a table has as many cells as its head."""
    width = 0
    for line in PAGES["docs/configuration.md"].splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not width or not cells or cells == width, line
        width = cells


@pytest.mark.parametrize("path", ["docs/tetrapy.8", CLIENT_MANUAL])
def test_the_manual_has_only_known_macros(path: str) -> None:
    """A line that starts with a control character and no macro of man(7) would not be shown."""
    macros = r'\.(?:\\" .+|TH .+|SH .+|SS .+|(?:B|I|BR|RB|RI|IR) .+|TP|PP|br|EX|EE|ad l|nh)'
    lines = GENERATED[path].splitlines()
    controls = [line for line in lines if line.startswith((".", "'"))]
    assert [line for line in controls if not re.fullmatch(macros, line)] == []
    # A hyphen that is to be copied is escaped, and nothing else is but for what is known here.
    shown = "\n".join(line for line in lines if not line.startswith('.\\"'))
    assert re.findall(r"(?<!\\)--", shown) == []
    assert set(re.findall(r"\\(f.|\(..|.)", shown)) <= {"-", "e", "fB", "fI", "fR", "(aq"}


def completed(line: str) -> list[str]:
    """What bash offers at the end of a command line."""
    words = re.findall(r"=|[^\s=]+", line) + ([""] if line.endswith((" ", "=")) else [])
    if line.endswith("="):
        words.pop()  # bash has the = itself as the word that is completed
    program = (
        'source "$1"; shift; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
        ' _tetrapy; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    command = ["bash", "-euc", program, "bash", str(ROOT / "completions/tetrapy.bash"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("tetrapy ", ["config", "btf", "policy", "help", *CLIENT]),
        ("tetrapy con", ["config"]),
        ("tetrapy getev", ["getevents"]),
        ("tetrapy getevents --color ", ["auto", "always", "never"]),
        ("tetrapy getevents -o ", ["json", "compact"]),
        ("tetrapy getevents --color=n", ["never"]),
        ("tetrapy getevents --reconn", ["--reconnect", "--reconnect-wait"]),
        ("tetrapy getevents --server-address ", []),
        ("tetrapy tp l", ["list"]),
        ("tetrapy tracingpolicy list -o ", ["text", "json"]),
        ("tetrapy log ", ["get", "set", *ALL_CLIENT]),
        ("tetrapy bugtool --out READ", ["README.md"]),
        ("tetrapy --log-f", ["--log-format", "--log-file"]),
        ("tetrapy --log-format ", ["text", "text-ts", "json", "json-ts"]),
        ("tetrapy --log-format=", ["text", "text-ts", "json", "json-ts"]),
        ("tetrapy --log-format=j", ["json", "json-ts"]),
        ("tetrapy --debug=", ["true", "false"]),
        ("tetrapy --debug=f", ["false"]),
        ("tetrapy --rb-size ", []),
        ("tetrapy --btf READ", ["README.md"]),
        ("tetrapy --btf=READ", ["README.md"]),
        ("tetrapy --bpf-lib compl", ["completions"]),
        ("tetrapy --bpf-lib READ", []),
        ("tetrapy config --chan", ["--changed"]),
        ("tetrapy config -o ", ["text", "json"]),
        ("tetrapy config --config-d", ["--config-dir"]),
        ("tetrapy btf ", list(BTF_COMMANDS)),
        ("tetrapy btf whi", ["which"]),
        ("tetrapy btf which --rel", []),
        ("tetrapy policy ", [one.name for one in POLICY_COMMANDS]),
        ("tetrapy policy check -o ", ["text", "json", "sarif"]),
        ("tetrapy policy check --kern", ["--kernel"]),
        ("tetrapy policy check READ", ["README.md"]),
    ],
)
def test_bash(line: str, offered: list[str]) -> None:
    """Commands, flags, and values that can be chosen."""
    assert sorted(completed(line)) == sorted(offered)


def test_bash_offers_every_flag() -> None:
    """And the two that are no settings."""
    assert set(completed("tetrapy --")) == {*FLAGS, "--help", "--version"}


@pytest.mark.slow
def test_a_setting_that_is_not_there_is_an_error_of_the_type_checker(tmp_path: Path) -> None:
    """A misspelt attribute, and a value of another type, do not pass mypy."""
    code = (
        "from tetrapy.config.settings import Settings\n"
        "def use(settings: Settings) -> int:\n"
        "    print(settings.clusster_name)\n"
        "    return settings.cluster_name\n"
    )
    (tmp_path / "use.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", tmp_path / "use.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert '"Settings" has no attribute "clusster_name"' in done.stdout
    assert 'got "str", expected "int"' in done.stdout
    assert len([line for line in done.stdout.splitlines() if "error:" in line]) == 2, done.stdout
