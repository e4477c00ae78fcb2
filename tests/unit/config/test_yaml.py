# SPDX-License-Identifier: Apache-2.0
"""/etc/tetrapy/tetrapy.yaml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tetrapy.config.settings import Note, Settings
from tetrapy.config.sources import read
from tetrapy.errors import SettingsError


def look(root: Path, text: str | bytes) -> Settings:
    path = root / "etc/tetrapy/tetrapy.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read([], {}, str(root))


def complaint(root: Path, text: str | bytes) -> str:
    """The message, with the path left out."""
    with pytest.raises(SettingsError) as caught:
        look(root, text)
    message = str(caught.value)
    assert message.startswith(f"{root}/etc/tetrapy/tetrapy.yaml:")
    return message.removeprefix(f"{root}/etc/tetrapy/tetrapy.yaml:")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("debug: true", True),
        ("debug: yes", True),
        ("debug: On", True),
        ("debug: 1", True),
        ('debug: "true"', True),
        ("debug: off", False),
        ("DEBUG: true", True),
        ("btf: /x", "/x"),
        ("btf: 7", "7"),
        ("btf: no", "no"),
        ("btf: ' x '", "x"),
        ("btf-inference: off", "off"),  # a word that YAML takes for a boolean
        ("export-rate-limit: -1", -1),
        ("event-queue-size: 10", 10),
        ("rb-size: 64K", 65536),
        ("export-file-perm: 640", 0o640),
        ("export-file-perm: 0640", 0o640),
        ("export-file-rotation-interval: 1h", 3600 * 10**9),
        ("enable-ancestors: base,kprobe", ("base", "kprobe")),
        ("enable-ancestors: [base, kprobe]", ("base", "kprobe")),
        ("filter-environment-variables:\n- A\n- B", ("A", "B")),
        ("filter-environment-variables: []", ()),
        ("export-allowlist: |\n  {}\n  {}\n", "{}\n{}"),
        ("export-allowlist:\n- '{}'\n- '{}'", "{}\n{}"),
        ('metrics-server: ""', ""),
        ("metrics-server: :2112", ":2112"),
        ("cgroup-rate: 1000,1s", (1000, 10**9)),
    ],
)
def test_values(tmp_path: Path, line: str, value: object) -> None:
    """The same texts as everywhere, and YAML's own booleans and lists."""
    settings = look(tmp_path, line)
    name = line.partition(":")[0].lower()
    assert settings.items()[name] == value
    assert settings.source(name) == f"{tmp_path}/etc/tetrapy/tetrapy.yaml:1"
    assert settings.notes == ()


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n", "{}", "debug:", "debug: ~", "debug: null"]
)
def test_what_sets_nothing(tmp_path: Path, text: str) -> None:
    """An empty document, and a name without a value."""
    settings = look(tmp_path, text)
    assert settings.source("debug") == "default"
    assert settings.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("btf: x\nrb-size: huge", '2: rb-size is "huge", not a number, with K, M or G'),
        ("debug: maybe", '1: debug is "maybe", not true or false'),
        ('log-level: ""', '1: log-level is "", not one of trace, debug'),
        ("event-queue-size: 1.5", '1: event-queue-size is "1.5", not a number'),
        ("debug: [true]", "1: debug is a list, not a value"),
        ("debug: {a: b}", "1: debug is a mapping, not a value"),
        ("enable-ancestors: {a: b}", "1: enable-ancestors is a mapping, not a value"),
        ("enable-ancestors: [[base]]", "1: enable-ancestors has an element that is no text"),
        ("enable-ancestors: [x]", '1: enable-ancestors is "x", not one of base'),
        ("debug: true\n\ndebug: false", "3: debug is set a second time; remove one"),
        ("debug: true\nDebug: false", "2: debug is set a second time; remove one"),
        ("- debug", "1: a mapping of names to values is expected, such as debug: true"),
        ("debug", "1: a mapping of names to values is expected, such as debug: true"),
        ("? [a]\n: b", "1: the name of a setting is expected, not a collection"),
        ("debug: true\nbtf: [", "2: no YAML: "),
        ("debug: true\n\tbtf: x", "2: no YAML: "),
        ("a: &x\nb: *y", "2: no YAML: "),
        ("a: 1\n---\nb: 2", "3: no YAML: "),
        ("debug: \x01", "1: no YAML: "),
        (b"btf: \xff", "1: no YAML: "),
        ("[" * 50_000, "1: no YAML: nested deeper than 64 levels"),
        ("a: " * 50_000, "1: no YAML: "),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    """File and line are named, then what is wrong."""
    assert complaint(tmp_path, text).startswith(message)


def test_an_unknown_name(tmp_path: Path) -> None:
    """It is ignored; what was probably meant is warned of, with the line."""
    path = tmp_path / "etc/tetrapy/tetrapy.yaml"
    assert look(tmp_path, "cilium-bpf: [1]\nexport_filename: x\n").notes == (
        Note(
            "debug",
            "Unknown setting is ignored",
            {"setting": "cilium-bpf", "source": f"{path}:1"},
        ),
        Note(
            "warn",
            "Unknown setting is ignored; did you mean export-filename?",
            {"setting": "export_filename", "source": f"{path}:2"},
        ),
    )


def test_an_alias_gives_way_to_the_name(tmp_path: Path) -> None:
    """Wherever it stands."""
    assert look(tmp_path, "metrics-server: :1\nmetrics-address: :2").metrics_server == ":1"
    assert look(tmp_path, "metrics-address: :2\nmetrics-server: :1").metrics_server == ":1"


def test_anchors_do_not_grow(tmp_path: Path) -> None:
    """A document of references to references costs what its text does."""
    text = "a0: &a0 [x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
    )
    assert look(tmp_path, text + "debug: true").debug is True


def test_a_start_without_the_file_imports_no_yaml(tmp_path: Path) -> None:
    """Reading YAML costs a start as much as all other settings."""
    program = (
        "import sys; from tetrapy.config.sources import read; "
        f"read(['--debug'], {{}}, {str(tmp_path)!r}); "
        "assert 'tetrapy.config.yaml_file' not in sys.modules and 'yaml' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT / "agent", check=True)
