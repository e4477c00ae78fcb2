# SPDX-License-Identifier: Apache-2.0
"""Bytes of the kernel -> text of events: arguments, paths, what is not UTF-8."""

from __future__ import annotations

import re
import tracemalloc
from functools import partial
from typing import NoReturn

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.steps import calls
from tetrapy.errors import NativeCodeError
from tetrapy.events import text
from tetrapy.events.text import (
    absolute_path,
    arguments_text,
    command_line_text,
    join_arguments,
    to_text,
)
from tetrapy.kernel.long_texts import joined, repaired

# Every class of byte that matters: ASCII, parts of 2, 3 and 4 byte sequences, never valid ones.
AWKWARD = b'a "\\\n\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xed\xa0\x80\xff\xfe\xc0\xaf'
awkward_bytes = st.binary(max_size=40) | st.lists(st.sampled_from(list(AWKWARD))).map(bytes)
arguments = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
spaced = st.text('ab "', max_size=4)  # often empty, often with a space


def joined_as_tetragon(tokens: list[str]) -> str:
    """The rule of Tetragon's decoder, one token after the other; empty ones as since 2026-09."""
    text = ""
    for token in tokens:
        if " " in token or token == "":
            text = text + ' "' + token + '"'
        elif text == "":
            text = token
        else:
            text = text + " " + token
    return text


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        ([], ""),
        (["-u"], "-u"),
        (["a", "b", "c"], "a b c"),
        (["a b"], ' "a b"'),
        (["a b", "c"], ' "a b" c'),
        (["c", "a b"], 'c "a b"'),
        (["a b", "c d"], ' "a b" "c d"'),
        ([" "], ' " "'),
        (["a", "", "b"], 'a "" b'),
        ([""], ' ""'),
        (["a", ""], 'a ""'),
        (["a", "", ""], 'a "" ""'),
        (["", "a"], ' "" a'),
        (["", "", "a"], ' "" "" a'),
        (["", "a b"], ' "" "a b"'),
        (["a", "", "", "b c"], 'a "" "" "b c"'),
        (["a", "", "", "", "b"], 'a "" "" "" b'),
        (['say "hi there"'], ' "say "hi there""'),
        (["a\tb", "c\nd"], "a\tb c\nd"),
    ],
)
def test_arguments_are_joined_as_tetragon_joins_them(argv: list[str], shown: str) -> None:
    """Only an argument that is empty or has a space is quoted, and nothing is escaped."""
    assert join_arguments(argv) == shown
    area = b"prog\0" + b"".join(argument.encode() + b"\0" for argument in argv)
    assert arguments_text(area) == shown


@given(st.lists(arguments | spaced, max_size=6))
def test_joining_is_tetragons_for_any_arguments(argv: list[str]) -> None:
    """join_arguments is ArgsDecoder's loop."""
    assert join_arguments(argv) == joined_as_tetragon(argv)


@given(st.lists(arguments | spaced, max_size=6))
@example(["prog"])
@example(["prog", ""])
@example(["prog", "", "", ""])
@example(["", "", "a", ""])
def test_an_argument_area_has_every_argument(argv: list[str]) -> None:
    """Empty ones too, wherever they are; procfs reads the same unless nothing follows but zeros."""
    area = b"".join(argument.encode() + b"\0" for argument in argv)
    assert arguments_text(area) == joined_as_tetragon(argv[1:])
    assert command_line_text(area) == (joined_as_tetragon(argv[1:]) if any(argv[1:]) else "")


def test_a_title_has_no_arguments() -> None:
    """A program that shortens its title with setproctitle leaves zero bytes behind it."""
    assert command_line_text(b"postgres: checkpointer" + b"\0" * 40) == ""


@pytest.mark.parametrize(
    ("area", "shown"),
    [
        (b"", ""),
        (b"\0", ""),
        (b"\0a\0", "a"),  # argv[0] is empty
        (b"prog", ""),
        (b"prog\0cut of", ' "cut of"'),  # the area was cut in an argument
        (b"prog\0a\0cut", "a cut"),
        (b"prog with space\0a\0", "a"),
    ],
)
def test_argument_areas_of_odd_shapes(area: bytes, shown: str) -> None:
    """Empty argv, an empty argv[0], and an area that is cut in an argument are read as they are."""
    assert arguments_text(area) == shown


@given(awkward_bytes)
def test_any_area_gives_text_without_zero_bytes(area: bytes) -> None:
    """No bytes make the decoder raise, and no zero byte is left in its result."""
    text = arguments_text(area)
    assert "\0" not in text
    text.encode()


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"plain", "plain"),
        ("na\u00efve \u20ac \U0001f600".encode(), "na\u00efve \u20ac \U0001f600"),
        (b"\xff", "\ufffd"),
        (b"a\xff\xfe\xfdb", "a\ufffdb"),
        (b"\xffa\xff", "\ufffda\ufffd"),
        (b"\xed\xa0\x80", "\ufffd"),  # a surrogate, three bytes
        (b"\xc0\xaf", "\ufffd"),  # an overlong slash
        (b"\xf0\x9f\x98", "\ufffd"),  # cut in a character
        (b"\xf0\x9f\x98x", "\ufffdx"),
        (b"\xf4\x90\x80\x80", "\ufffd"),  # above U+10FFFF
        ("\ufffd".encode() + b"\xff", "\ufffd\ufffd"),  # a real U+FFFD is valid
    ],
)
def test_a_run_of_invalid_bytes_becomes_one_replacement(data: bytes, shown: str) -> None:
    """Like Go's strings.ToValidUTF8: one U+FFFD a run, valid text untouched."""
    assert to_text(data) == shown


def valid_prefix(data: bytes) -> int:
    """The length of the character that `data` begins with; 0 when it begins with none."""
    for length in range(1, min(4, len(data)) + 1):
        try:
            data[:length].decode()
        except UnicodeDecodeError:
            continue
        return length
    return 0


@given(awkward_bytes)
def test_invalid_runs_byte_by_byte(data: bytes) -> None:
    """to_text equals a walk that tries each position for a valid character."""
    expected, at, in_run = "", 0, False
    while at < len(data):
        length = valid_prefix(data[at:])
        if length:
            expected += data[at : at + length].decode()
        elif not in_run:
            expected += "\ufffd"
        in_run = not length
        at += length or 1
    assert to_text(data) == expected
    assert repaired(data) == expected
    # Wherever it lies in the blocks that C looks at.
    assert repaired(b"a" * 250 + data + b"\xff" * 250) == to_text(b"a" * 250 + data + b"\xff" * 250)


def runs_replaced(data: bytes) -> str:
    """What to_text is to give: each run of bytes that decode to nothing, by one U+FFFD."""
    return re.sub("[\udc80-\udcff]+", "\ufffd", data.decode("utf-8", "surrogateescape"))


# Bytes that a fast way could take for its own marks, characters cut off, and runs of all lengths.
odd_parts = st.sampled_from(
    [b"a", b"?", b"0", b"1", b"\0", b"\x1a", b"\xef\xbf\xbd", b"\xc3\xa9", b"\xff", b"\xfe"]
) | st.sampled_from(
    [b"\x80", b"\xc3", b"\xef\xbf", b"\xf0\x9f", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"]
)
odd_runs = st.tuples(odd_parts, st.sampled_from([1, 2, 3, 7, 63, 64, 65, 1000])).map(
    lambda both: both[0] * both[1]
)


@pytest.mark.slow
@given(st.lists(odd_runs, max_size=8).map(b"".join))
@example(b"\xff\x1a1\xef\xbf\xbd\x1a0")
@example(b"\xff\xef\xbf\xbd\xff\xef\xbf\xbd")
def test_invalid_runs_of_all_lengths(data: bytes) -> None:
    """However long the runs are and whatever is between them, a real U+FFFD among it."""
    assert to_text(data) == runs_replaced(data)


SIZE = 1 << 18  # of the arguments that one exec can have
HOSTILE = {
    "invalid bytes one by one": b"\xffa",
    "invalid bytes": b"\xff",
    "lone continuations": b"\x80",
    "beginnings that do not go on": b"\xc3a",
    "surrogates": b"\xed\xa0\x80",
    "short runs": b"\xff" * 7 + b"a",
    "real marks between": b"\xff\x1a\xef\xbf\xbd",
    "zero bytes": b"\0",
    "spaces": b" ",
    "arguments that are a space": b" \0",
    "arguments of one character": b"a\0",
    "quotes": b'" ',
    "control characters": b"\x01",
    "valid beside invalid": b"\xc3\xa9\xff",
}


def shown(area: bytes) -> str:
    return join_arguments(to_text(area).split("\0"))


@pytest.mark.parametrize("part", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_takes_no_more_steps_than_a_short_one(part: bytes) -> None:
    """All that grows with the text is done by single passes in C: calls grow hardly at all."""
    short, long = part * (4096 // len(part)), part * (SIZE // len(part))
    more = calls(lambda: shown(long)) - calls(lambda: shown(short))
    assert more < 50


@pytest.mark.parametrize("part", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_not_taken_apart(part: bytes) -> None:
    """A list of its runs would take eight bytes and more for each, and as much time."""
    data = part * (SIZE // len(part))
    tracemalloc.start()
    try:
        to_text(data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * SIZE


def joined_as_go(cwd: str, path: str) -> str:
    """filepath.Join of Go on Unix: drop empty elements, join, then Clean."""
    elements = [element for element in (cwd, path) if element]
    if not elements:
        return ""
    text = "/".join(elements)
    rooted = text.startswith("/")
    kept: list[str] = []
    for part in text.split("/"):
        if part in {"", "."}:
            continue
        if part == ".." and kept and kept[-1] != "..":
            kept.pop()
        elif part == ".." and rooted:
            continue
        else:
            kept.append(part)
    return ("/" if rooted else "") + "/".join(kept) or ("/" if rooted else ".")


@pytest.mark.parametrize(
    ("path", "cwd", "shown"),
    [
        ("/bin/ls", "/root", "/bin/ls"),
        ("/usr/../bin/./ls", "/root", "/usr/../bin/./ls"),  # absolute paths are left alone
        ("//bin/ls", "/", "//bin/ls"),
        ("ls", "/root", "/root/ls"),
        ("./ls", "/root", "/root/ls"),
        ("../ls", "/root", "/ls"),
        ("../../ls", "/root", "/ls"),
        ("a//b/", "/root", "/root/a/b"),
        ("ls", "/", "/ls"),
        ("ls", "", "ls"),
        ("../ls", "", "../ls"),
        ("a/..", "", "."),
        ("", "/root", "/root"),
        ("", "", ""),
    ],
)
def test_relative_paths_are_joined_as_go_joins_them(path: str, cwd: str, shown: str) -> None:
    """A relative path is joined with the working directory as text; an absolute one is kept."""
    assert absolute_path(path, cwd) == shown


@given(st.text("a./ ", max_size=10), st.sampled_from(["", "/", "/a", "/a/b", "/a b/..", "//x"]))
def test_any_path_is_joined_as_go_joins_it(path: str, cwd: str) -> None:
    """absolute_path is Tetragon's GetBinaryAbsolutePath."""
    expected = path if path.startswith("/") else joined_as_go(cwd, path)
    assert absolute_path(path, cwd) == expected


def test_no_slash_is_doubled_in_front() -> None:
    """A joined path never begins with two slashes, which POSIX would let mean something else."""
    assert not re.match("//", absolute_path("x", "/"))


def test_long_texts_are_made_by_c(monkeypatch):
    """The same text; and where the library cannot be loaded, Python makes it."""
    data = AWKWARD * 400
    area = b"prog\0" + data + b"\0\0a b\0"
    expected = join_arguments([runs_replaced(one) for one in area.split(b"\0")[1:-1]])
    asked = []

    def noted(made, given):
        asked.append(len(given))
        return made(given)

    monkeypatch.setattr(text, "_repair", partial(noted, repaired))
    monkeypatch.setattr(text, "_join", partial(noted, joined))
    assert to_text(data) == runs_replaced(data)
    assert to_text(data[:200]) == runs_replaced(data[:200])
    assert asked == [len(data)]
    assert arguments_text(area) == expected
    assert arguments_text(area[:200]) == join_arguments(
        [runs_replaced(one) for one in area[:200].split(b"\0")[1:]]
    )
    assert asked[1] == len(area) - 6
    assert len(asked) == 3

    def missing(_: bytes) -> NoReturn:
        raise NativeCodeError("no libtetrapy here")

    monkeypatch.setattr(text, "_repair", missing)
    monkeypatch.setattr(text, "_join", missing)
    assert to_text(data) == runs_replaced(data)
    assert arguments_text(area) == expected


@given(st.lists(st.text('a "', max_size=20).map(str.encode) | awkward_bytes, min_size=1))
@example([b""])
@example([b"", b" "])
@example([b"12345678", b"1234567", b"1 345678"])
def test_arguments_joined_by_c(argv: list[bytes]) -> None:
    """As Python joins them."""
    area = b"\0".join(argv)
    shown = join_arguments(area.decode("latin-1").split("\0"))
    assert joined(area).decode("latin-1") == shown


@pytest.mark.parametrize("part", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_one_of_cs(part: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long arguments take calls by their number as little as by their bytes."""
    monkeypatch.setattr(text, "_repair", repaired)
    monkeypatch.setattr(text, "_join", joined)
    short, long = (b"prog\0" + part * (size // len(part)) for size in (8192, SIZE))
    assert calls(lambda: arguments_text(long)) == calls(lambda: arguments_text(short)) < 50
