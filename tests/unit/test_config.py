"""Settings: the table, and where values come from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.config.settings import (
    ADDRESS,
    BOOL,
    INT,
    SETTINGS,
    SIZE,
    STRING,
    Setting,
    parse,
)
from tetrapy.config.sources import read
from tetrapy.errors import SettingsError

# A setting -> text and value that differ from its default.
EXAMPLES = {
    "export-filename": ("/var/log/x.json", "/var/log/x.json"),
    "btf": ("/tmp/vmlinux", "/tmp/vmlinux"),
    "bpf-lib": ("/opt/bpf", "/opt/bpf"),
    "btf-inference": ("off", "off"),
    "btf-archive": ("/opt/archive.xz", "/opt/archive.xz"),
    "btf-check": ("false", False),
    "procfs": ("/host/proc", "/host/proc"),
    "rb-size": ("64K", 65536),
    "rb-size-total": ("1M", 1 << 20),
    "use-perf-ring-buffer": ("true", True),
    "log-level": ("debug", "debug"),
    "log-format": ("json", "json"),
    "debug": ("true", True),
    "metrics-server": ("localhost:2112", "localhost:2112"),
}
NAMES = [setting.name for setting in SETTINGS]


def value_of(name: str, arguments: list[str], environment: dict[str, str]) -> object:
    return read(arguments, environment).items()[name]


def complaint(arguments: list[str], environment: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        read(arguments, environment or {})
    return str(caught.value)


def test_every_setting_has_an_example() -> None:
    """The tests below cover the whole table."""
    assert set(EXAMPLES) == set(NAMES)


def test_defaults() -> None:
    """Without flags and variables: Tetragon's defaults, with tetrapy's paths."""
    assert read([], {}).items() == {
        "export-filename": "",
        "btf": "",
        "bpf-lib": "/usr/local/lib/tetrapy/bpf/",
        "btf-inference": "auto",
        "btf-archive": "",
        "btf-check": True,
        "procfs": "/proc/",
        "rb-size": 0,
        "rb-size-total": 0,
        "use-perf-ring-buffer": False,
        "log-level": "info",
        "log-format": "text",
        "debug": False,
        "metrics-server": "",
    }


@pytest.mark.parametrize("name", NAMES)
def test_by_flag(name: str) -> None:
    """--name=value and, but for booleans, --name value."""
    text, value = EXAMPLES[name]
    assert value_of(name, [f"--{name}={text}"], {}) == value
    assert value_of(name, [f"--{name}", text], {}) == value


@pytest.mark.parametrize("name", NAMES)
def test_by_variable(name: str) -> None:
    """TETRAPY_NAME, in capitals and with underscores; an empty one counts as unset."""
    text, value = EXAMPLES[name]
    variable = "TETRAPY_" + name.upper().replace("-", "_")
    assert value_of(name, [], {variable: text}) == value
    default = read([], {}).items()[name]
    assert value_of(name, [], {variable: ""}) == default


@pytest.mark.parametrize("name", NAMES)
def test_a_flag_beats_a_variable(name: str) -> None:
    """The command line wins, also when it gives the default again."""
    (setting,) = [setting for setting in SETTINGS if setting.name == name]
    text, value = EXAMPLES[name]
    variable = setting.variable
    default = str(setting.default).lower() or "z"
    other = {STRING: default, BOOL: default, INT: "0", SIZE: "0", ADDRESS: ":1"}[setting.kind]
    assert value_of(name, [f"--{name}={text}"], {variable: other}) == value
    assert value_of(name, [f"--{name}={other}"], {variable: text}) != value


def test_the_last_flag_wins() -> None:
    """A flag given twice has its last value."""
    assert read(["--btf", "a", "--btf", "b"], {}).btf == "b"


@pytest.mark.parametrize("name", NAMES)
def test_attributes(name: str) -> None:
    """A setting is an attribute, hyphens turned into underscores."""
    text, value = EXAMPLES[name]
    assert getattr(read([f"--{name}={text}"], {}), name.replace("-", "_")) == value


def test_an_attribute_that_is_no_setting() -> None:
    """A mistyped name is an AttributeError, as of any object."""
    with pytest.raises(AttributeError, match="no_such"):
        _ = read([], {}).no_such


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_forms_of_true(text: str) -> None:
    """Go's forms of true, by flag and by variable."""
    assert read([f"--use-perf-ring-buffer={text}"], {}).use_perf_ring_buffer is True
    assert read([], {"TETRAPY_USE_PERF_RING_BUFFER": text}).use_perf_ring_buffer is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_forms_of_false(text: str) -> None:
    """Go's forms of false, by flag and by variable."""
    assert read([f"--debug={text}"], {}).debug is False
    assert read([], {"TETRAPY_DEBUG": text}).debug is False


@pytest.mark.parametrize(
    "arguments", [["--debug"], ["-d"], ["--debug", "--btf", "x"], ["-d", "--btf=x"]]
)
def test_a_boolean_flag_alone_is_true(arguments: list[str]) -> None:
    """Also in front of another flag, and by its short form."""
    assert read(arguments, {}).debug is True


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1", 1),
        ("4096", 4096),
        ("1K", 1024),
        ("64K", 65_536),
        ("8M", 8 << 20),
        ("1G", 1 << 30),
        ("2G", 2 << 30),
        ("2147483648", 2 << 30),
        ("000000000000000001", 1),
        ("007", 7),
        ("0K", 0),
    ],
)
def test_sizes(text: str, value: int) -> None:
    """Bytes, or K, M and G as powers of 1024."""
    assert read(["--rb-size-total", text], {}).rb_size_total == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "K",
        "1k",
        "1m",
        "1KB",
        "1 K",
        " 1",
        "-1",
        "+1",
        "1.5M",
        "0x10",
        "1_000",
        "\u0661",
        "\u00b2",
    ],
)
def test_bad_sizes(text: str) -> None:
    """Anything else is refused, with flag, value and what would be right."""
    message = complaint([f"--rb-size={text}"])
    assert message == f'--rb-size: rb-size is "{text}", not a number, with K, M or G'


@pytest.mark.parametrize(
    "text", ["9" * 5000, "4G", "3G", "2147483649", "2097153K", "999999999999K"]
)
@pytest.mark.parametrize("name", ["rb-size", "rb-size-total"])
def test_a_size_that_no_buffer_can_have(name: str, text: str) -> None:
    """A size beyond what the kernel's 32-bit map size can say is refused with the flag's name."""
    assert f"--{name}" in complaint([f"--{name}", text])


@pytest.mark.parametrize("text", ["maybe", "yes", "on", "2", "tRuE", "", " true"])
def test_bad_booleans(text: str) -> None:
    """A boolean that is neither true nor false is refused, not taken for false."""
    assert complaint([f"--debug={text}"]) == f'--debug: debug is "{text}", not true or false'


@pytest.mark.parametrize("text", ["2112", "localhost", "localhost:", ":http", ":65536", "[::1]"])
def test_bad_addresses(text: str) -> None:
    """What is no address is wrong use, told with the flag and what would be right."""
    expected = "an address such as :2112 or localhost:2112"
    message = complaint([f"--metrics-server={text}"])
    assert message == f'--metrics-server: metrics-server is "{text}", not {expected}'


@pytest.mark.parametrize("name", ["log-level", "log-format"])
def test_bad_choices(name: str) -> None:
    """The message lists what can be chosen."""
    message = complaint([f"--{name}=loud"])
    (setting,) = [setting for setting in SETTINGS if setting.name == name]
    assert message == f'--{name}: {name} is "loud", not one of {", ".join(setting.choices)}'


@pytest.mark.parametrize("name", ["log-level", "log-format"])
def test_choices_in_any_case(name: str) -> None:
    """As Tetragon: INFO is info, and means the same afterwards."""
    (setting,) = [setting for setting in SETTINGS if setting.name == name]
    for choice in setting.choices:
        assert value_of(name, [f"--{name}={choice.upper()}"], {}).lower() == choice


def test_a_bad_variable_names_itself() -> None:
    """The source in the message is the variable, so that it can be found."""
    message = complaint([], {"TETRAPY_RB_SIZE": "huge"})
    assert message == 'TETRAPY_RB_SIZE: rb-size is "huge", not a number, with K, M or G'


def test_integers() -> None:
    """A setting of kind INT takes decimal digits only."""
    setting = Setting("count", INT, 0, "")
    assert parse(setting, "12", "--count") == 12
    for text in ("", "1K", "x", "-1"):
        with pytest.raises(SettingsError, match=f'--count: count is "{text}", not a number'):
            parse(setting, text, "--count")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--no-such"], "unknown flag: --no-such"),
        (["--no-such=1", "x"], "unknown flag: --no-such=1"),
        (["--export", "x"], "unknown flag: --export"),  # no abbreviations
        (["-x"], "unknown flag: -x"),
        (["file.json"], "unknown argument: file.json"),
    ],
)
def test_unknown_flags(arguments: list[str], message: str) -> None:
    """A flag that does not exist is named."""
    assert complaint(arguments) == message


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS if setting.kind != BOOL])
def test_a_flag_without_its_value(name: str) -> None:
    """The flag that lacks a value is named."""
    assert f"--{name}" in complaint([f"--{name}"])


def test_standard_output_as_a_value() -> None:
    """A lone hyphen is a value, not a flag."""
    assert read(["--export-filename", "-"], {}).export_filename == "-"


def test_buffer_sizes_exclude_each_other() -> None:
    """Tetragon's words for two settings of which one may be given."""
    text = "Can't specify --rb-size and --rb-size-total together"
    assert complaint(["--rb-size=1M", "--rb-size-total=1M"]) == text
    assert complaint(["--rb-size=1M"], {"TETRAPY_RB_SIZE_TOTAL": "1M"}) == text
    assert read(["--rb-size=1M", "--rb-size-total=0"], {}).rb_size == 1 << 20


def test_help_lists_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    """--help shows each flag, its default, the variables' rule and the exit codes, and ends."""
    with pytest.raises(SystemExit) as caught:
        read(["--help"], {})
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for setting in SETTINGS:
        assert f"--{setting.name}" in text
        assert " ".join(setting.help.split()[:4]) in text
        if setting.default not in {"", False}:
            assert f"(default {setting.default})" in text
    assert "TETRAPY_EXPORT_FILENAME" in text
    assert "Exit codes: 0" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the version alone and ends."""
    from tetrapy.version import __version__

    with pytest.raises(SystemExit) as caught:
        read(["--version"], {})
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_rows_are_sound() -> None:
    """Names are unique and lower-case, defaults have the row's type, choices hold the default."""
    types = {STRING: str, BOOL: bool, INT: int, SIZE: int, ADDRESS: str}
    assert len(NAMES) == len(set(NAMES))
    for setting in SETTINGS:
        assert setting.name == setting.name.lower()
        assert type(setting.default) is types[setting.kind]
        assert not setting.choices or setting.default in setting.choices


@given(st.lists(st.text(max_size=12), max_size=4), st.dictionaries(
    st.sampled_from([setting.variable for setting in SETTINGS]), st.text(max_size=8)
))  # fmt: skip
def test_any_command_line(arguments: list[str], environment: dict[str, str]) -> None:
    """Whatever is typed, the outcome is settings, a SettingsError, or --help's end."""
    try:
        settings = read(arguments, environment)
    except (SettingsError, SystemExit):
        return
    assert set(settings.items()) == set(NAMES)
