# SPDX-License-Identifier: Apache-2.0
"""What the texts of values mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.config import duration
from tetrapy.config.cgroup_rate import CgroupRate
from tetrapy.config.setting import (
    ADDRESS,
    CGROUP_RATE,
    DURATION,
    HOUR,
    INT,
    LIST,
    MINUTE,
    MODE,
    SECOND,
    SIZE,
    UINT,
    Setting,
)
from tetrapy.config.settings import SETTINGS
from tetrapy.config.table import BY_NAME
from tetrapy.config.values import parse, parse_elements, show, zero
from tetrapy.errors import SettingsError


def value(kind: str, text: str) -> object:
    return parse(Setting("x", kind, None, ""), text, "--x")


def complaint(kind: str, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        value(kind, text)
    return str(caught.value)


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_forms_of_true(text: str) -> None:
    """Go's forms of true."""
    assert parse(BY_NAME["debug"], text, "--debug") is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_forms_of_false(text: str) -> None:
    """Go's forms of false."""
    assert parse(BY_NAME["debug"], text, "--debug") is False


@pytest.mark.parametrize("text", ["maybe", "yes", "on", "2", "tRuE", "", " true"])
def test_bad_booleans(text: str) -> None:
    """A boolean that is neither true nor false is refused, not taken for false."""
    assert complaint("bool", text) == f'--x: x is "{text}", not true or false'


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("1K", 1024),
        ("64K", 65_536),
        ("8M", 8 << 20),
        ("2G", 2 << 30),
        ("2147483648", 2 << 30),
        ("000000000000000001", 1),
        ("007", 7),
        ("0K", 0),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """Bytes, or K, M and G as powers of 1024."""
    assert value(SIZE, text) == size


@pytest.mark.parametrize(
    "text", ["", "K", "1k", "1m", "1KB", "1 K", " 1", "-1", "+1", "1.5M", "0x10", "1_000", "\u0661"]
)
def test_bad_sizes(text: str) -> None:
    """Anything else is refused, with what would be right."""
    assert complaint(SIZE, text) == f'--x: x is "{text}", not a number, with K, M or G'


@pytest.mark.parametrize("text", ["9" * 5000, "4G", "3G", "2147483649", "2097153K"])
def test_a_size_that_no_buffer_can_have(text: str) -> None:
    """A size beyond what the kernel's 32-bit map size can say is refused."""
    assert complaint(SIZE, text).endswith("not at most 2G")


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("12", 12), ("007", 7)])
def test_numbers(text: str, number: int) -> None:
    """Decimal digits; of an INT a sign may stand in front."""
    assert value(UINT, text) == value(INT, text) == value(INT, "+" + text) == number
    assert value(INT, "-" + text) == -number


@pytest.mark.parametrize("text", ["", "1K", "x", "1.0", "--1", "-", "1 ", "0x1", "\u0661", "1_0"])
@pytest.mark.parametrize("kind", [INT, UINT])
def test_bad_numbers(kind: str, text: str) -> None:
    """Anything else is refused."""
    assert complaint(kind, text) == f'--x: x is "{text}", not a number'
    assert "not a number" in complaint(UINT, "-1")


def test_a_number_too_long() -> None:
    """It would not fit 64 bits; the message shows its beginning only."""
    assert (
        complaint(INT, "9" * 5000)
        == f'--x: x is "{"9" * 60}...", not a number of at most 18 digits'
    )


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("15s", 15 * SECOND),
        ("1h30m", 90 * MINUTE),
        ("1.5h", 90 * MINUTE),
        (".5s", SECOND // 2),
        ("1.s", SECOND),
        ("100ms", SECOND // 10),
        ("3us", 3000),
        ("3\u00b5s", 3000),
        ("3\u03bcs", 3000),
        ("7ns", 7),
        ("1h1m1s1ms1us1ns", HOUR + MINUTE + SECOND + 1_001_001),
        ("0", 0),
        ("0s", 0),
        ("250", 250),
        ("-2s", -2 * SECOND),
        ("+2s", 2 * SECOND),
        ("2s1h", HOUR + 2 * SECOND),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    """Go's syntax; a number without a unit is nanoseconds."""
    assert value(DURATION, text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["", "s", "-", "1 s", "1d", "1sec", "s1", ".s", "1..s", "1,5s", "1e3s", "--1s", "1S"]
)
def test_bad_durations(text: str) -> None:
    """What Go would not read is refused."""
    expected = "a duration such as 15s, 1h30m or 100ms"
    assert complaint(DURATION, text) == f'--x: x is "{text}", not {expected}'


@pytest.mark.parametrize(
    "text", ["2562048h", "9223372036854775808", "9" * 500 + "s", "9999999999s"]
)
def test_a_duration_too_long(text: str) -> None:
    """Go counts nanoseconds in 64 bits."""
    assert "not a duration" in complaint(DURATION, text)


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_every_duration_can_be_written(nanoseconds: int) -> None:
    """What is shown is read as the same nanoseconds."""
    assert duration.parse(duration.show(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("nanoseconds", "text"), [(90 * MINUTE, "1h30m"), (15 * SECOND, "15s"), (0, "0s"), (-1, "-1ns")]
)
def test_how_durations_are_shown(nanoseconds: int, text: str) -> None:
    """The largest units first, none of them zero."""
    assert duration.show(nanoseconds) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("a", ("a",)),
        ("a,b", ("a", "b")),
        ("a b", ("a", "b")),
        (" a ,\tb\n,,c ", ("a", "b", "c")),
    ],
)
def test_lists(text: str, words: tuple[str, ...]) -> None:
    """Words between commas or white space."""
    assert value(LIST, text) == words


def test_a_list_of_choices() -> None:
    """Each word is one that can be chosen, in any case."""
    setting = BY_NAME["enable-ancestors"]
    assert parse(setting, "Base, kprobe", "--x") == ("base", "kprobe")
    with pytest.raises(SettingsError, match='is "base,bose", not one of base, kprobe'):
        parse(setting, "base,bose", "--x")


def test_elements_of_a_list() -> None:
    """An element that is given by itself is not split; choices are checked."""
    setting = Setting("x", LIST, (), "")
    assert parse_elements(setting, ("a b", "c,d"), "x.yaml") == ("a b", "c,d")
    assert parse_elements(setting, (), "x.yaml") == ()
    assert parse_elements(BY_NAME["enable-ancestors"], ("BASE",), "x.yaml") == ("base",)
    with pytest.raises(SettingsError, match="not one of"):
        parse_elements(BY_NAME["enable-ancestors"], ("x",), "x.yaml")


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("600", 0o600),
        ("0640", 0o640),
        ("00640", 0o640),
        ("777", 0o664),  # neither execution by anyone, nor writing by others
        ("0", 0o600),
        ("644", 0o644),
        ("660", 0o660),
    ],
)
def test_permissions(text: str, mode: int) -> None:
    """Octal; Tetragon's bits are always taken away, and the owner may always read and write."""
    assert value(MODE, text) == mode


@pytest.mark.parametrize("text", ["", "rw", "0o600", "688", "-600", "1000", "7777", "0600000"])
def test_bad_permissions(text: str) -> None:
    """Anything else is refused."""
    assert "permissions in octal" in complaint(MODE, text)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("", None),
        ("1000,1s", CgroupRate(1000, SECOND)),
        ("10, 1m", CgroupRate(10, MINUTE)),
    ],
)
def test_cgroup_rates(text: str, rate: CgroupRate | None) -> None:
    """Events and interval; nothing is no limit."""
    assert value(CGROUP_RATE, text) == rate


@pytest.mark.parametrize(
    "text", ["1000", "1000,", "1000,1", ",1s", "0,1s", "10,0s", "-1,1s", "1,-1s", "1,1s,2", "x,1s"]
)
def test_bad_cgroup_rates(text: str) -> None:
    """Anything else is refused, where Tetragon goes on without a limit."""
    assert (
        complaint(CGROUP_RATE, text) == f'--x: x is "{text}", not events,interval such as 1000,1s'
    )


@pytest.mark.parametrize("text", ["2112", "localhost", "localhost:", ":http", ":65536", "[::1]"])
def test_bad_addresses(text: str) -> None:
    """What is no address is refused with what would be right."""
    expected = "an address such as :2112 or localhost:2112"
    assert complaint(ADDRESS, text) == f'--x: x is "{text}", not {expected}'


@pytest.mark.parametrize(
    "setting", [one for one in SETTINGS if one.choices], ids=lambda one: one.name
)
def test_choices_in_any_case(setting: Setting) -> None:
    """As Tetragon: INFO is info. Another word is refused with the words that can be chosen."""
    for choice in setting.choices:
        chosen = parse(setting, choice.upper(), "--x")
        assert chosen == ((choice,) if setting.kind == LIST else choice)
    with pytest.raises(SettingsError, match=f'is "loud", not one of {", ".join(setting.choices)}'):
        parse(setting, "loud", "--x")


def test_a_zero_byte() -> None:
    """No path holds one."""
    assert complaint("file", "a\0b") == '--x: x is "a\\x00b", not a text without zero bytes'


def test_what_a_terminal_must_not_see_is_escaped() -> None:
    """A wrong value out of a file is shown without control characters."""
    assert complaint("bool", "\x1b[2J\udcff") == '--x: x is "\\x1b[2J\\udcff", not true or false'


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
def test_zero(setting: Setting) -> None:
    """The zero value of a setting is empty, 0 or false; permissions keep the owner's."""
    assert zero(setting) in ("", 0, False, (), None, 0o600)


@given(st.sampled_from(SETTINGS), st.text(max_size=20))
def test_any_text(setting: Setting, text: str) -> None:
    """A text is refused, or has a value that can be written and read again."""
    try:
        found = parse(setting, text, "--x")
    except SettingsError as err:
        message = str(err)
    else:
        message = f"--x: {setting.name} is fine"
        assert parse(setting, show(setting, found), "--x") == found
    assert message.startswith(f"--x: {setting.name} is ")
    assert "\n" not in message
