# SPDX-License-Identifier: Apache-2.0
"""Compact lines of events that nobody has thought of, made out of the schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.api.messages import ALL, ALL_ENUMS, RESPONSE
from tetrapy.client.colors import Colors
from tetrapy.client.compact import Compact, UnprintableError
from tetrapy.client.functions import FUNCTIONS
from tetrapy.client.recorded import event_of
from tetrapy.events.schema import EVENTS, MESSAGES
from tetrapy.events.schema.field import ONE
from tetrapy.json_codec import dumps

NUMBERS = st.integers(0, (1 << 32) - 1)


def values(kind: str, depth: int = 0) -> st.SearchStrategy[Any]:
    """JSON forms of a field of a type, right and, of scalars, at the edges."""
    if kind.startswith("["):
        return st.lists(values(kind.strip("[]"), depth), max_size=2)
    texts = st.text(max_size=5)
    known = {
        "string": texts,
        "bytes": st.sampled_from(["", "AA==", "AQID"]),
        "map": st.dictionaries(texts, texts, max_size=1),
        "bool": st.booleans(),
        "BoolValue": st.booleans(),
        "int32": st.integers(-(1 << 31), (1 << 31) - 1),
        "Int32Value": st.integers(-(1 << 31), (1 << 31) - 1),
        "int64": st.integers(-(1 << 63), (1 << 63) - 1).map(str),
        "uint64": st.integers(0, (1 << 64) - 1).map(str),
        "Timestamp": st.sampled_from(["2026-01-02T03:04:05.5Z", "1970-01-01T00:00:00+01:30"]),
    }
    if kind in ALL_ENUMS:
        return st.sampled_from(sorted(ALL_ENUMS[kind])) | st.integers(-3, 99)
    if kind in MESSAGES:
        return message(ALL[kind], depth + 1) if depth < 5 else st.just({})
    return known.get(kind, NUMBERS)


def message(rows: Any, depth: int) -> st.SearchStrategy[Any]:
    """Some fields of a message; of alternatives one at most."""

    @st.composite
    def build(draw: st.DrawFn) -> dict[str, Any]:
        chosen = draw(st.lists(st.sampled_from(rows), max_size=4, unique_by=lambda row: row.name))
        alternatives = [row for row in chosen if row.presence == ONE]
        return {
            row.name: draw(values(row.type, depth)) for row in chosen if row not in alternatives[1:]
        }

    return build()


FUNCTION_NAMES = st.sampled_from(sorted(FUNCTIONS)) | st.text(max_size=8)


@pytest.mark.slow
@given(message(ALL[RESPONSE], 0), FUNCTION_NAMES, st.booleans())
def test_no_event_makes_it_fail(event: dict[str, Any], function: str, color: bool) -> None:
    """Each event that protojson knows is read, is read the same once more, and has its lines."""
    for name in ("process_kprobe", "process_lsm"):
        if name in event:
            event[name] = {"process": {}, **event[name], "function_name": function}
    read = event_of(dumps(event))
    assert event_of(dumps(read)) == read
    try:
        text = Compact(Colors(color), timestamps=True).lines(read)
    except UnprintableError:
        return
    assert text.endswith(("\n", "\x1b[0m"))


ODD = "\x1b]0;title\x07\u202e\nanother line\r\x9b8m"


def odd_message(rows: Any, depth: int = 0) -> dict[str, Any]:
    """A message whose texts all are what a terminal takes for more than a text."""
    found: dict[str, Any] = {}
    for row in rows:
        kind = row.type.strip("[]")
        if kind == "string":
            value: Any = ODD
        elif kind in MESSAGES and depth < 5:
            value = odd_message(ALL[kind], depth + 1)
        else:
            continue
        found[row.name] = [value] * 4 if row.type.startswith("[") else value
    return found


def test_texts_reach_no_terminal_as_they_are() -> None:
    """Whatever a text of a recorded event has in it, it ends no line, and a terminal obeys none."""
    odd = odd_message(ALL[RESPONSE])
    functions = ["", ODD, "file_open", *FUNCTIONS]
    seen = 0
    for name in odd:
        for function in functions:
            body = odd[name]
            if name in {"process_kprobe", "process_lsm"} and function != ODD:
                body = {**body, "function_name": function}
            if name not in EVENTS:
                continue
            try:
                text = Compact(Colors(False)).lines({name: body, "node_name": ODD})
            except UnprintableError:
                continue
            seen += 1
            assert all(one.isprintable() for one in text.replace("\ufe0f", "").split("\n")), text
            assert "\nanother line" not in text
    assert seen > 100


def test_arguments_of_any_type() -> None:
    """Each function with each member of an argument in each place."""
    for row in ALL["KprobeArgument"]:
        value = {} if row.type in MESSAGES else 0 if row.type in {"int32", "uint32"} else "0"
        for function in FUNCTIONS:
            for count in range(4):
                args = [{row.name: value}] * count
                event = {"process": {}, "function_name": function, "args": args}
                Compact(Colors(False)).lines({"process_kprobe": event})
