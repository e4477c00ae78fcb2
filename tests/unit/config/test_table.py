# SPDX-License-Identifier: Apache-2.0
"""The table of settings: sound in itself, and Tetragon's."""

from __future__ import annotations

import ast

import pytest

from tests.support.paths import DATA, ROOT
from tetrapy.config.setting import (
    ADDRESS,
    BOOL,
    CGROUP_RATE,
    DIRECTORY,
    DURATION,
    FILE,
    FILES,
    INT,
    LINES,
    LIST,
    MODE,
    SIZE,
    STRING,
    UINT,
    Setting,
)
from tetrapy.config.settings import SETTINGS, Settings, defaults, not_yet
from tetrapy.config.sources import read
from tetrapy.config.table import BY_NAME, TOPICS
from tetrapy.config.values import parse, show

NAMES = [setting.name for setting in SETTINGS]
TYPES = {
    STRING: str,
    FILE: str,
    DIRECTORY: str,
    ADDRESS: str,
    LINES: str,
    BOOL: bool,
    INT: int,
    UINT: int,
    SIZE: int,
    DURATION: int,
    MODE: int,
    LIST: tuple,
    FILES: tuple,
    CGROUP_RATE: type(None),
}
# The kinds by which Go's types of Tetragon's flags are read here, some of them stricter.
KINDS = {
    "bool": {BOOL},
    "int": {INT, UINT},
    "uint": {UINT},
    "uint64": {UINT},
    "duration": {DURATION},
    "[]string": {LIST},
    "string": {STRING, FILE, DIRECTORY, ADDRESS, LINES, SIZE, MODE, CGROUP_RATE, LIST, FILES},
}
# Name, Go's type and default of every flag of Tetragon's daemon, with our paths.
TETRAGON = [line.split("\t") for line in (DATA / "tetragon_flags.tsv").read_text().splitlines()]


def test_rows_are_sound() -> None:
    """Names are unique and lower-case, defaults have the row's type, choices hold the default."""
    names = [name for setting in SETTINGS for name in (setting.name, *setting.aliases)]
    assert len(names) == len(set(names)) == len(BY_NAME)
    shorts = [setting.short for setting in SETTINGS if setting.short]
    assert len(shorts) == len(set(shorts))
    for setting in SETTINGS:
        assert setting.name == setting.name.lower()
        assert type(setting.default) is TYPES[setting.kind], setting.name
        if setting.choices:
            chosen = setting.default if setting.kind == LIST else (setting.default,)
            assert set(chosen) <= set(setting.choices)
        assert not setting.no_effect or setting.no_effect.split(":")[0].startswith(("yet", "here"))
        assert setting.help
        assert not setting.help.endswith(".")


# The first is read by its name, since it says where settings come from; what limits users' shares
# of the export files is not there yet.
NOT_READ = {"config-dir"}


def attributes_read() -> set[str]:
    """Names of all attributes that the agent's modules read of what is called settings."""
    found: set[str] = set()
    for path in (ROOT / "agent/tetrapy").rglob("*.py"):
        if path.name == "typed.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and "settings" in ast.unparse(node.value):
                found.add(node.attr.replace("_", "-"))
    return found


@pytest.mark.slow
def test_a_setting_has_an_effect_or_says_that_it_has_none() -> None:
    """One without effect is read by no module, each of the others by one."""
    read_by_a_module = attributes_read() & set(NAMES)
    without = {setting.name for setting in SETTINGS if setting.no_effect}
    assert read_by_a_module & without == set()
    assert set(NAMES) - without - read_by_a_module <= NOT_READ


def test_every_setting_has_a_topic() -> None:
    """The topics hold each setting once; none is empty."""
    assert [one for _title, settings in TOPICS for one in settings] == list(SETTINGS)
    assert all(settings for _title, settings in TOPICS)


def test_the_reference_is_whole() -> None:
    """The list to compare with has the 95 flags of Tetragon's daemon."""
    assert len({name for name, _kind, _default in TETRAGON}) == 95


# Nothing listens on TCP unless it is asked to.
OTHER_DEFAULTS = {
    "server-address": "unix:///var/run/tetrapy/tetrapy.sock",
    "health-server-address": "",
}


@pytest.mark.parametrize(("name", "kind", "default"), TETRAGON, ids=lambda value: value)
def test_every_flag_of_tetragon_is_accepted(name: str, kind: str, default: str) -> None:
    """With its type and, but for addresses, its default."""
    default = OTHER_DEFAULTS.get(name, default)
    setting = BY_NAME[name]
    assert setting.name == name
    assert setting.kind in KINDS[kind]
    shown = show(setting, setting.default)
    assert shown == default or (setting.kind == SIZE and (shown, default) == ("0", ""))


def test_what_tetragon_lacks_is_marked_as_ours() -> None:
    """Own settings are those of no Tetragon; two rows are of an older one."""
    tetragon = {name for name, _kind, _default in TETRAGON}
    own = {setting.name for setting in SETTINGS if setting.own}
    assert set(NAMES) - tetragon == own | {"kmods", "enable-process-ancestors"}
    assert {"sensor", "kernel-filters", "export-file-max-age", "healthz-address"} <= own


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("metrics-address", "metrics-server"),
        ("enable-process-creds", "enable-process-cred"),
        ("expose-kernel-addresses", "expose-stack-addresses"),
        ("pprof-addr", "pprof-address"),
        ("export-file", "export-filename"),
    ],
)
def test_names_of_older_documents(alias: str, name: str) -> None:
    """A name of Tetragon 1.1.0, or of its documents only, means the setting of today."""
    assert BY_NAME[alias] is BY_NAME[name]


@pytest.mark.parametrize("setting", SETTINGS, ids=NAMES)
def test_a_default_can_be_written(setting: Setting) -> None:
    """What is shown of a default is read as the default."""
    text = show(setting, setting.default)
    assert parse(setting, text, "--x") == setting.default


def test_the_variable_of_a_setting() -> None:
    """TETRAPY_, then the name in capitals with underscores."""
    assert BY_NAME["export-filename"].variable == "TETRAPY_EXPORT_FILENAME"


def test_attributes() -> None:
    """A setting is an attribute, hyphens turned into underscores."""
    settings = Settings(defaults())
    for setting in SETTINGS:
        assert getattr(settings, setting.name.replace("-", "_")) == setting.default


def test_an_attribute_that_is_no_setting() -> None:
    """A mistyped name is an AttributeError, as of any object; of a source a KeyError."""
    settings = Settings(defaults())
    with pytest.raises(AttributeError, match="no_such"):
        _ = settings.no_such
    with pytest.raises(KeyError, match="no-such"):
        settings.source("no-such")


def test_nothing_is_said_of_defaults() -> None:
    """Settings without effect are reported only when they are set to something else."""
    assert not_yet(Settings(defaults())) == []
    assert not_yet(read(["--enable-k8s-api=false", "--enable-cgtrackerid"], {}, "/nowhere")) == []


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("--enable-k8s-api", "has no effect yet: Kubernetes support comes later"),
        (
            "--parents-map-enabled",
            "has no effect here: binaries of parents are kept where a policy asks for them",
        ),
        ("--gops-address=:8118", "has no effect here: it serves tools that look into Go programs"),
    ],
)
def test_a_setting_without_effect_is_named(flag: str, sentence: str) -> None:
    """A sentence for each that is set, with its name and why."""
    name = flag.partition("=")[0]
    assert not_yet(read([flag], {}, "/nowhere")) == [f"{name} {sentence}"]
