# SPDX-License-Identifier: Apache-2.0
"""Where settings come from, with real directories below a root of the test's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tetrapy.config.settings import DEFAULT, SETTINGS, Note, Settings
from tetrapy.config.sources import read
from tetrapy.errors import SettingsError

ETC = "etc/tetrapy/tetrapy.conf.d"
LOCAL = "usr/local/lib/tetrapy/tetrapy.conf.d"
LIB = "usr/lib/tetrapy/tetrapy.conf.d"
YAML = "etc/tetrapy/tetrapy.yaml"


def put(root: Path, path: str, content: str | bytes) -> Path:
    """A file below the root, with its directories."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return target


def look(root: Path, *flags: str, **variables: str) -> Settings:
    return read(list(flags), variables, str(root))


def complaint(root: Path, *flags: str, **variables: str) -> str:
    with pytest.raises(SettingsError) as caught:
        look(root, *flags, **variables)
    return str(caught.value)


def test_defaults(tmp_path: Path) -> None:
    """Where nothing is there, everything is at its default, and nothing is noticed."""
    settings = look(tmp_path)
    assert settings.items() == {setting.name: setting.default for setting in SETTINGS}
    assert {settings.source(setting.name) for setting in SETTINGS} == {DEFAULT}
    assert settings.notes == ()


def test_precedence(tmp_path: Path) -> None:
    """Each source beats those below it, whose values stay for the settings it does not name."""
    named = tmp_path / "named"
    places = [f"{LIB}/btf", f"{LOCAL}/btf", YAML, f"{ETC}/btf", "named/btf"]
    expected = []
    for number, place in enumerate(places):
        put(tmp_path, place, f"btf: v{number}" if place == YAML else f"v{number}\n")
        if place == "named/btf":
            continue
        settings = look(tmp_path)
        expected.append((settings.btf, settings.source("btf")))
    flags, variables = ["--config-dir", str(named)], {"TETRAPY_BTF": "variable"}
    for words, environment in (
        (flags, {}),
        (flags, variables),
        ([*flags, "--btf", "flag"], variables),
    ):
        settings = read(words, environment, str(tmp_path))
        expected.append((settings.btf, settings.source("btf")))
    assert expected == [
        ("v0", str(tmp_path / LIB / "btf")),
        ("v1", str(tmp_path / LOCAL / "btf")),
        ("v2", f"{tmp_path / YAML}:1"),
        ("v3", str(tmp_path / ETC / "btf")),
        ("v4", str(named / "btf")),
        ("variable", "TETRAPY_BTF"),
        ("flag", "--btf"),
    ]


def test_settings_of_all_sources_are_merged(tmp_path: Path) -> None:
    """One setting from each source, all in force together."""
    put(tmp_path, f"{LIB}/verbose", "1")
    put(tmp_path, f"{LOCAL}/export-filename", "/var/log/x.json")
    put(tmp_path, YAML, "log-format: json\n")
    put(tmp_path, f"{ETC}/procfs", "/host/proc\n")
    put(tmp_path, "named/log-level", "warn")
    put(tmp_path, f"{ETC}/config-dir", str(tmp_path / "named"))
    settings = look(tmp_path, "--debug", TETRAPY_RB_SIZE="1M")
    assert settings.verbose == 1
    assert settings.export_filename == "/var/log/x.json"
    assert settings.log_format == "json"
    assert settings.procfs == "/host/proc"
    assert settings.log_level == "warn"
    assert settings.debug is True
    assert settings.rb_size == 1 << 20
    path = {"config-dir": str(tmp_path / "named")}
    assert settings.notes == (Note("info", "Loaded config from directory", path),)


def test_the_working_directory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tetrapy.yaml there is nobody's: a daemon must not trust where it was started."""
    put(tmp_path, "cwd/tetrapy.yaml", "debug: true\n")
    monkeypatch.chdir(tmp_path / "cwd")
    assert look(tmp_path).debug is False


def test_a_variable_that_is_empty_counts_as_unset(tmp_path: Path) -> None:
    """It does not hide what a file says."""
    put(tmp_path, f"{ETC}/btf", "x")
    assert look(tmp_path, TETRAPY_BTF="").btf == "x"


def test_an_empty_flag_is_a_value(tmp_path: Path) -> None:
    """It hides what a file says."""
    put(tmp_path, f"{ETC}/btf", "x")
    assert look(tmp_path, "--btf=").btf == ""


@pytest.mark.parametrize(
    ("name", "zero"),
    [
        ("bpf-lib", ""),
        ("event-queue-size", 0),
        ("btf-check", False),
        ("metrics-label-filter", ()),
        ("rb-queue-size", 0),
        ("cgroup-rate", None),
        ("export-file-perm", 0o600),
    ],
)
def test_an_empty_file_is_the_zero_value(tmp_path: Path, name: str, zero: object) -> None:
    """Not the default: that comes back when the file is removed."""
    put(tmp_path, f"{ETC}/{name}", " \n")
    settings = look(tmp_path)
    assert settings.items()[name] == zero
    assert settings.source(name) == str(tmp_path / ETC / name)


def test_an_empty_choice_is_refused(tmp_path: Path) -> None:
    """What is chosen from words has no zero value."""
    path = put(tmp_path, f"{ETC}/log-level", "")
    assert complaint(tmp_path).startswith(f'{path}: log-level is "", not one of trace, debug')


def test_the_value_is_trimmed(tmp_path: Path) -> None:
    """White space at both ends is dropped, lines within stay."""
    put(tmp_path, f"{ETC}/export-denylist", '\n {"pid": [1]}\n{"pid": [2]} \n\n')
    assert look(tmp_path).export_denylist == '{"pid": [1]}\n{"pid": [2]}'


def test_the_layout_of_a_configmap(tmp_path: Path) -> None:
    """Links to files are followed; ..data and directories are passed over."""
    directory = tmp_path / ETC
    put(tmp_path, f"{ETC}/..2026/debug", "true")
    (directory / "..data").symlink_to("..2026")
    (directory / "debug").symlink_to("..data/debug")
    (directory / "btf").mkdir()
    (directory / "procfs").symlink_to("..2026")
    settings = look(tmp_path)
    assert settings.debug is True
    assert settings.btf == ""
    assert settings.procfs == "/proc/"
    assert settings.notes == ()


@pytest.mark.parametrize(
    "name",
    [".debug", ".debug.swp", "debug~", "debug.dpkg-old", "debug.rpmsave", "debug.bak", ".gitkeep"],
)
def test_what_editors_and_packages_leave_is_skipped(tmp_path: Path, name: str) -> None:
    """It neither sets anything nor is worth a word."""
    put(tmp_path, f"{ETC}/{name}", "true")
    settings = look(tmp_path)
    assert settings.debug is False
    assert settings.notes == ()


@pytest.mark.parametrize("name", ["Debug", "DEBUG"])
def test_names_of_files_in_any_case(tmp_path: Path, name: str) -> None:
    """As Tetragon reads them."""
    put(tmp_path, f"{ETC}/{name}", "true")
    assert look(tmp_path).debug is True


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("exportfilename", "export-filename"),
        ("debug.conf", "debug"),
        ("export_filename.txt", "export-filename"),
        ("enable-process-credz", "enable-process-cred"),
    ],
)
def test_a_mistyped_file_is_warned_of(tmp_path: Path, name: str, meant: str) -> None:
    """With what was probably meant; nothing is set."""
    path = put(tmp_path, f"{ETC}/{name}", "true")
    settings = look(tmp_path)
    text = f"Unknown setting is ignored; did you mean {meant}?"
    assert settings.notes == (Note("warn", text, {"setting": name, "source": str(path)}),)


def test_an_unknown_file_is_reported_to_who_debugs(tmp_path: Path) -> None:
    """Tetragon's own examples have some; a directory is not even told of."""
    path = put(tmp_path, f"{ETC}/cilium-bpf", "/x")
    (tmp_path / ETC / "archive").mkdir()
    fields = {"setting": "cilium-bpf", "source": str(path)}
    assert look(tmp_path).notes == (Note("debug", "Unknown setting is ignored", fields),)


def test_an_alias_gives_way_to_the_name(tmp_path: Path) -> None:
    """In one place the setting's own name counts; a stronger place wins by either."""
    put(tmp_path, f"{ETC}/metrics-server", ":1")
    put(tmp_path, f"{ETC}/metrics-address", ":2")
    assert look(tmp_path).metrics_server == ":1"
    both = {"TETRAPY_METRICS_ADDRESS": ":3", "TETRAPY_METRICS_SERVER": ":4"}
    assert look(tmp_path, **both).metrics_server == ":4"
    settings = look(tmp_path, TETRAPY_METRICS_ADDRESS=":3")
    assert settings.metrics_server == ":3"
    assert settings.source("metrics-server") == "TETRAPY_METRICS_ADDRESS"


def test_a_file_that_is_none_is_warned_of(tmp_path: Path) -> None:
    """A FIFO, a dangling link and a file of more than 1 MiB set nothing, and hold nothing up."""
    directory = tmp_path / ETC
    put(tmp_path, f"{ETC}/btf", b"x" * (1 << 20) + b"x")
    os.mkfifo(directory / "debug")
    (directory / "procfs").symlink_to("nowhere")
    settings = look(tmp_path)
    assert settings.items()["btf"] == ""
    text = "Settings cannot be read and are ignored"
    assert [
        (note.message, note.fields["path"], note.fields["error"]) for note in settings.notes
    ] == [
        (text, str(directory / "btf"), "it is larger than 1048576 bytes"),
        (text, str(directory / "debug"), "it is no regular file"),
        (text, str(directory / "procfs"), "No such file or directory"),
    ]


def test_a_directory_that_is_none_is_warned_of(tmp_path: Path) -> None:
    """The places of old may hold anything; the start goes on."""
    path = put(tmp_path, ETC, "")
    text = "Settings cannot be read and are ignored"
    fields = {"path": str(path), "error": "Not a directory"}
    assert look(tmp_path).notes == (Note("warn", text, fields),)


@pytest.mark.parametrize("kind", ["missing", "file", "zero"])
def test_a_config_dir_that_is_none_ends_the_start(tmp_path: Path, kind: str) -> None:
    """The operator named it, so it must be there; what named it is in the message."""
    put(tmp_path, "file", "")
    path = {"missing": f"{tmp_path}/no", "file": f"{tmp_path}/file", "zero": "a\udc00b"}[kind]
    expected = f'config-dir is "{path}", not a directory that can be read: '
    assert complaint(tmp_path, TETRAPY_CONFIG_DIR=path).startswith(
        f"TETRAPY_CONFIG_DIR: {expected}"
    )
    assert complaint(tmp_path, f"--config-dir={path}").startswith(f"--config-dir: {expected}")


def test_an_empty_config_dir_is_none(tmp_path: Path) -> None:
    """An empty value turns a directory off that a file names."""
    put(tmp_path, f"{ETC}/config-dir", str(tmp_path / "no"))
    assert look(tmp_path, "--config-dir=").config_dir == ""


def test_a_config_dir_within_a_config_dir_is_not_followed(tmp_path: Path) -> None:
    """There is one such directory."""
    put(tmp_path, "one/config-dir", str(tmp_path / "two"))
    put(tmp_path, "two/debug", "true")
    assert look(tmp_path, "--config-dir", str(tmp_path / "one")).debug is False


def test_a_wrong_value_names_its_file(tmp_path: Path) -> None:
    """Path, setting, value and what would be right; also where a stronger source has a good one."""
    path = put(tmp_path, f"{LIB}/rb-size", "huge")
    text = f'{path}: rb-size is "huge", not a number, with K, M or G'
    assert complaint(tmp_path) == text
    assert complaint(tmp_path, "--rb-size=1M") == text


def test_a_wrong_variable_names_itself(tmp_path: Path) -> None:
    """So that it can be found."""
    message = complaint(tmp_path, TETRAPY_RB_SIZE="huge")
    assert message == 'TETRAPY_RB_SIZE: rb-size is "huge", not a number, with K, M or G'


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("TETRAPY_LOGLEVEL", "log-level"),
        ("TETRAPY_EXPORT_FILE_NAME", "export-filename"),
        ("TETRAPY_debug", "debug"),
    ],
)
def test_a_mistyped_variable_is_warned_of(tmp_path: Path, variable: str, meant: str) -> None:
    """With what was probably meant; nothing is set."""
    settings = look(tmp_path, **{variable: "debug"})
    (note,) = settings.notes
    assert (note.level, note.fields["source"]) == ("warn", variable)
    assert note.message == f"Unknown setting is ignored; did you mean {meant}?"


@pytest.mark.parametrize(
    "variable",
    ["TETRAPY_CACHE", "TETRAPY_CI", "TETRAPY_LIBBPF", "TETRAPY_", "XTETRAPY_DEBUG", "DEBUG"],
)
def test_variables_of_others(tmp_path: Path, variable: str) -> None:
    """They are no settings, and nobody's mistake."""
    settings = look(tmp_path, **{variable: "x"})
    assert settings.notes == ()


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 arrive as the file system has them."""
    put(tmp_path, f"{ETC}/btf", b"/\xff")
    assert os.fsencode(look(tmp_path).btf) == b"/\xff"


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r\n\r\n"])
@pytest.mark.parametrize("place", [f"{ETC}/debug", f"{LIB}/debug", YAML])
def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path, place: str, end: str) -> None:
    """Editors of Windows write one, and end lines in their way."""
    put(tmp_path, place, "\ufeff" + ("debug: true" if place == YAML else "true") + end)
    assert look(tmp_path).debug


def test_filters_of_windows(tmp_path: Path) -> None:
    """Several lines, each of which ends in two characters, are the same lines."""
    put(tmp_path, f"{ETC}/export-denylist", '\ufeff{"pid":[1]}\r\n{"pid":[2]}\r\n')
    put(tmp_path, f"{ETC}/enable-ancestors", "base,\r\nkprobe\r\n")
    settings = look(tmp_path)
    assert settings.export_denylist == '{"pid":[1]}\n{"pid":[2]}'
    assert settings.enable_ancestors == ("base", "kprobe")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("place", [f"{ETC}/export-filename", YAML])
def test_another_encoding_is_named(tmp_path: Path, place: str, encoding: str) -> None:
    """Not a value with zero bytes in it, on which the agent would end later."""
    text = "export-filename: /x" if place == YAML else "/x"
    path = put(tmp_path, place, text.encode(encoding))
    said = complaint(tmp_path)
    assert said.startswith(f"{path} holds zero bytes")
    assert said.endswith("write it in UTF-8")


def test_a_zero_byte_in_a_file_is_named(tmp_path: Path) -> None:
    """The file is reported, whatever the setting."""
    path = put(tmp_path, f"{ETC}/cluster-name", b"a\0b")
    assert f"{path} holds zero bytes, as if it were no text" in complaint(tmp_path)
