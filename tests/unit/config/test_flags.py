# SPDX-License-Identifier: Apache-2.0
"""The command line, in the syntax of Go's pflag."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.config.flags import HELP, VERSION, parse
from tetrapy.config.setting import BOOL, Setting
from tetrapy.config.settings import SETTINGS
from tetrapy.config.table import BY_NAME
from tetrapy.errors import SettingsError

# A text that a setting of each kind takes, and that is not its zero value.
TEXTS = {
    "string": "x",
    "file": "/x",
    "files": "/x y,z",
    "directory": "/x",
    "address": "localhost:1",
    "lines": "{}\n{}",
    "bool": "true",
    "int": "-7",
    "uint": "7",
    "size": "64K",
    "duration": "7s",
    "list": "a,b",
    "mode": "640",
    "cgroup-rate": "7,1s",
}


def text_of(setting: Setting) -> str:
    return setting.choices[-1] if setting.choices else TEXTS[setting.kind]


def values(*words: str) -> dict[str, object]:
    found, asked = parse(list(words))
    assert not asked
    return found


def complaint(*words: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse(list(words))
    return str(caught.value)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
def test_every_setting_is_a_flag(setting: Setting) -> None:
    """--name=value, and but for booleans --name value; by its aliases too."""
    text = text_of(setting)
    expected = values(f"--{setting.name}={text}")
    assert list(expected) == [setting.name]
    for name in (setting.name, *setting.aliases):
        assert values(f"--{name}={text}") == expected
        words = [f"--{name}"] if setting.kind == BOOL else [f"--{name}", text]
        assert values(*words) == expected


@pytest.mark.parametrize(
    "words", [["--debug"], ["-d"], ["--debug", "--btf", "x"], ["-d", "--btf=x"], ["-d=true"]]
)
def test_a_boolean_flag_alone_is_true(words: list[str]) -> None:
    """Also in front of another flag, and by its short form."""
    assert values(*words)["debug"] is True


def test_files_are_added_and_may_be_called_anything() -> None:
    """Each word is one path, also with commas and spaces; a text of several lines has several."""
    found = values("--tracing-policy=/a b,c.yaml", "--tracing-policy", "/d")
    assert found == {"tracing-policy": ("/a b,c.yaml", "/d")}
    assert values("--tracing-policy", "/a\n\n /b \n") == {"tracing-policy": ("/a", "/b")}


def test_a_boolean_flag_can_be_turned_off() -> None:
    """With =, in all forms of false."""
    assert values("--btf-check=false") == {"btf-check": False}
    assert values("-d=0") == {"debug": False}


def test_the_last_flag_wins() -> None:
    """A flag given twice has its last value."""
    assert values("--btf", "a", "--btf", "b") == {"btf": "b"}
    assert values("--metrics-address=:1", "--metrics-server=:2") == {"metrics-server": ":2"}
    assert values("--metrics-server=:2", "--metrics-address=:1") == {"metrics-server": ":1"}


def test_a_list_grows() -> None:
    """A flag of a list that is given twice has the words of both."""
    words = ("--enable-ancestors", "base", "--enable-ancestors=kprobe,lsm")
    assert values(*words) == {"enable-ancestors": ("base", "kprobe", "lsm")}


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--export-filename", "-"], "export-filename", "-"),
        (["--export-rate-limit", "-1"], "export-rate-limit", -1),
        (["--btf", "--debug"], "btf", "--debug"),
        (["--btf="], "btf", ""),
        (["--export-allowlist={}=x"], "export-allowlist", "{}=x"),
    ],
)
def test_the_next_word_is_the_value(words: list[str], name: str, value: object) -> None:
    """Whatever it looks like, as for pflag; after = all that follows is."""
    assert values(*words) == {name: value}


@pytest.mark.parametrize(
    "setting", [one for one in SETTINGS if one.kind != BOOL], ids=lambda o: o.name
)
def test_a_flag_without_its_value(setting: Setting) -> None:
    """The flag that lacks a value is named."""
    assert complaint(f"--{setting.name}") == f"flag needs an argument: --{setting.name}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--no-such"], "unknown flag: --no-such"),
        (["--no-such=1", "x"], "unknown flag: --no-such=1"),
        (["--exp", "x"], "unknown flag: --exp"),  # no abbreviations
        (["-x"], "unknown flag: -x"),
        (["-debug"], "unknown flag: -debug; did you mean --debug?"),
        (["---debug"], "unknown flag: ---debug; did you mean --debug?"),
        (["--DEBUG"], "unknown flag: --DEBUG; did you mean --debug?"),
        (
            ["--export-file-name=x"],
            "unknown flag: --export-file-name=x; did you mean --export-filename?",
        ),
        (["--log_level", "info"], "unknown flag: --log_level; did you mean --log-level?"),
        (["file.json"], "unknown argument: file.json"),
        (["-"], "unknown argument: -"),
        (["--"], "unknown argument: --"),
        ([""], "unknown argument: "),
        (
            ["--debug", "false"],
            "unknown argument: false; to turn a flag on or off, write --debug=false",
        ),
    ],
)
def test_what_is_no_flag(words: list[str], message: str) -> None:
    """It is named, with the flag that was probably meant."""
    assert complaint(*words) == message


@pytest.mark.parametrize(
    ("words", "asked"), [(["--help"], HELP), (["-h"], HELP), (["--version"], VERSION)]
)
def test_what_is_asked_for(words: list[str], asked: str) -> None:
    """--help and --version end the command line; what stands before them must be right."""
    assert parse(["--debug", *words, "--nonsense"]) == ({"debug": True}, asked)
    with pytest.raises(SettingsError):
        parse(["--nonsense", *words])


def test_a_wrong_value_names_its_flag() -> None:
    """The source in the message is the flag."""
    assert complaint("--rb-size", "huge").startswith('--rb-size: rb-size is "huge", not a number')


_WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from([f"--{name}" for name in BY_NAME]),
    st.builds("--{}={}".format, st.sampled_from(sorted(BY_NAME)), st.text(max_size=8)),
)


@given(st.lists(_WORDS, max_size=5))
def test_any_command_line(words: list[str]) -> None:
    """Whatever is typed, the outcome is values of settings, a question, or a SettingsError."""
    try:
        found, asked = parse(words)
    except SettingsError:
        return
    assert asked in {"", HELP, VERSION}
    assert set(found) <= {setting.name for setting in SETTINGS}
