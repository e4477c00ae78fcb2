# SPDX-License-Identifier: Apache-2.0
"""Texts of which nothing is hidden from who looks at them."""

from __future__ import annotations

import json
import unicodedata
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shown_process import process
from tests.support.steps import calls
from tetrapy import visible
from tetrapy.config.sources import read
from tetrapy.daemon.notify import Notifier
from tetrapy.errors import NativeCodeError, SettingsError
from tetrapy.events.exec import ProcessExec
from tetrapy.events.json import JsonEncoder
from tetrapy.kernel import long_texts
from tetrapy.log import _quote
from tetrapy.metrics.family import _quote as label
from tetrapy.visible import json_bytes, printable

HIDING = [
    *map(chr, [0x7F, *range(0x80, 0xA0), 0xAD, 0x34F, 0x61C, 0x115F, 0x180E, 0x3164, 0xFEFF]),
    *map(chr, [*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070)]),
    *map(chr, [0xFE0F, 0xFFA0, 0xFFF9, 0xE0001, *range(0xE0020, 0xE0080), 0xE0100]),
]


@pytest.mark.parametrize("letter", HIDING, ids=lambda letter: f"U+{ord(letter):04X}")
def test_what_is_not_seen_is_escaped_everywhere(letter: str) -> None:
    """In events, the log, labels, the status of the service and errors; JSON means the same."""
    text = f"/tmp/{letter}é"
    ours = process(binary=text, arguments="日本", cwd=text)
    line = JsonEncoder(f"n{letter}", f"c{letter}").encode(ProcessExec(ours, ours)).decode()
    assert letter not in line
    reported = json.loads(line)
    assert reported["process_exec"]["process"]["binary"] == text
    assert reported["process_exec"]["parent"]["arguments"] == "日本"
    assert (reported["node_name"], reported["cluster_name"]) == (f"n{letter}", f"c{letter}")
    assert letter not in _quote(text)
    assert json.loads(_quote(text)) == text
    assert letter not in label(text)
    assert ascii(text)[1:-1] in label(text).replace("\\\\", "\\")
    assert letter not in Notifier({"NOTIFY_SOCKET": "@x"})._changed(text)[0]
    with pytest.raises(SettingsError) as caught:
        read([f"--log-level={text}"], {})
    assert letter not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["/usr/bin/id", "äöü 日本語 العربية עברית हिन्दी ไทย", "€ 😀 \ufffd"]
)
def test_what_is_seen_stays_as_it_is(text: str) -> None:
    """Scripts of people, whichever way they run."""
    assert printable(text) == text
    document = json.dumps(text, ensure_ascii=False)
    assert json_bytes(document) == document.encode()


@pytest.mark.parametrize("part", ["\x7f\ufffd", "\u202e", "\x80", "\U000e0001", 'é"\\\n\x7f'])
def test_a_long_text_takes_no_more_steps_than_a_short_one(part: str) -> None:
    """Who makes up 256 KiB of what is not seen has no function called for each character."""
    short, long = (json.dumps(part * count, ensure_ascii=False) for count in (5_000, 50_000))
    assert len(json_bytes(long)) > 300_000
    assert calls(lambda: json_bytes(long)) == calls(lambda: json_bytes(short)) < 50


@pytest.mark.parametrize("part", ["\x7f", "\u200b", "\U000e0001", 'é"\\\n\x01'])
def test_a_long_label_takes_no_more_steps_than_a_short_one(part: str) -> None:
    """Who makes up a thousand names has a scrape cost a few calls for each."""
    assert calls(lambda: label(part * 60)) == calls(lambda: label(part)) < 50


def test_labels() -> None:
    """Line feeds and quotes are the format's own, and change nothing else."""
    assert label('é"\\\n') == 'é\\"\\\\\\n'
    assert label("é\x7f\n\t'\u200b\U000e0001") == r"\\xe9\\x7f\n\\t'\\u200b\\U000e0001"


@pytest.fixture
def by_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visible, "_LONG", 1)
    monkeypatch.setattr(visible, "_long_json", long_texts.json_bytes)


def as_python_writes_it(text: str) -> bytes:
    """A string in JSON that can be looked at: each character for itself."""
    document = json.dumps(text, ensure_ascii=False)
    if printable(document) == document:
        return document.encode()
    return json.dumps(text).encode()


@pytest.mark.usefixtures("by_c")
def test_every_character_by_c() -> None:
    """A long document is the same bytes, whichever character it has, also at the end of a block."""
    known = visible.seen_bits()
    for code in [*range(0x3200), *range(0xD700, 0xE100), *range(0xFD00, 0x10300), 0x1F600, 0x2FFFF]:
        is_seen = printable(chr(code)) == chr(code)
        assert bool(known[code >> 3] >> (code & 7) & 1) == is_seen, hex(code)
        expected = as_python_writes_it(chr(code))
        assert json_bytes(json.dumps(chr(code), ensure_ascii=False)) == expected, hex(code)
    for size in range(250, 260):
        for end in ("\U0001f600", "\U000e0001", "\ud83d", "\ude00", "é", "\u202e"):
            text = "é" * size + end + "z"
            assert json_bytes(json.dumps(text, ensure_ascii=False)) == as_python_writes_it(text)


def test_nothing_beyond_the_table_is_seen() -> None:
    """Of the characters that it does not have."""
    beyond = range(visible.LIMIT, 0x110000)
    assert not any(printable(chr(code)) == chr(code) for code in beyond)


@pytest.mark.usefixtures("by_c")
@given(st.text(st.characters() | st.sampled_from('"\\\n\x7f\u202eé\U0001f600\ud83d\ude00')))
def test_any_text_by_c(text: str) -> None:
    """A long document is the same bytes as a short one."""
    assert json_bytes(json.dumps(text, ensure_ascii=False)) == as_python_writes_it(text)


def test_where_c_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python writes long documents."""

    def missing() -> NoReturn:
        raise NativeCodeError("no libtetrapy here")

    long_texts._function.cache_clear()
    monkeypatch.setattr(long_texts, "load_own", missing)
    monkeypatch.setattr(visible, "_long_json", long_texts.json_bytes)
    for text in ("é" * 5000, "é\u202e" * 5000):
        assert json_bytes(json.dumps(text, ensure_ascii=False)) == as_python_writes_it(text)


@pytest.mark.slow
@given(
    st.recursive(
        st.text() | st.integers() | st.booleans(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_means_the_same(value: object) -> None:
    """Whatever it holds, and nothing in it is a control or format character then."""
    document = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    made = json_bytes(document).decode()
    assert json.loads(made) == value
    assert not {unicodedata.category(letter) for letter in made} & {"Cc", "Cf", "Zl", "Zp", "Cs"}
