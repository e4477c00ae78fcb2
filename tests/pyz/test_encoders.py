"""orjson and the standard library's json: the same bytes for every event there can be."""

from __future__ import annotations

import json

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.events import flags
from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.events.json import JsonEncoder, dump_with_json
from tetrapy.events.process import Process
from tetrapy.events.text import arguments_text, to_text

# What the kernel hands over is bytes; every text of an event is made from them.
TEXTS = st.one_of(
    st.binary(max_size=60).map(to_text),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.binary(max_size=100).map(lambda data: arguments_text(data, True)),
)
NUMBERS = st.integers(0, 2**32 - 1)


@st.composite
def processes(draw) -> Process:
    process = Process(draw(st.binary(max_size=10)), draw(NUMBERS), 1, draw(st.integers(0, 2**63)))
    process.uid = draw(NUMBERS)
    process.auid = draw(NUMBERS)
    process.cwd = draw(TEXTS)
    process.binary = draw(TEXTS)
    process.arguments = draw(TEXTS)
    process.flags = flags.EXECVE | draw(st.integers(0, 2**26 - 1))
    process.docker = draw(st.sampled_from(["", "0123456789abcdef0123456789abcde"]))
    process.refcnt = draw(st.integers(0, 1))
    process.in_init_tree = draw(st.booleans())
    process.start_time = "2026-01-01T00:00:00.123456789Z"
    process.parent_exec_id = "bm9kZToxOjA="
    return process


def _lines(node: str, process: Process, parent: Process, code: int) -> list[list[bytes]]:
    result = []
    for dump in (orjson.dumps, dump_with_json):
        process.json = parent.json = None
        encoder = JsonEncoder(node, dump)
        time = "2026-01-01T00:00:00Z"
        events = (
            ProcessExec(process, parent),
            ProcessExec(process, None),
            ProcessExit(process, parent, code, time),
            ProcessExit(process, None, code, time),
        )
        result.append([encoder.encode(event) for event in events])
    return result


@given(TEXTS, processes(), processes(), st.integers(0, 65535))
def test_same_bytes(node: str, process: Process, parent: Process, code: int) -> None:
    """Whatever is in an event, both encoders give the same line, which is valid JSON."""
    fast, plain = _lines(node, process, parent, code)
    assert fast == plain
    for line in fast:
        assert line.endswith(b"}\n")
        assert line.count(b"\n") == 1
        decoded = json.loads(line)
        body = decoded.get("process_exec") or decoded["process_exit"]
        assert body["process"].get("binary", "") == process.binary
        assert body["process"].get("arguments", "") == process.arguments
        assert decoded["node_name"] == node


def test_every_character() -> None:
    """Each character of Unicode is encoded alike; only quotes, backslashes and controls escape."""
    for start in range(0, 0x110000, 0x1000):
        text = "".join(chr(c) for c in range(start, start + 0x1000) if not 0xD800 <= c < 0xE000)
        assert orjson.dumps(text) == dump_with_json(text)
    assert dump_with_json("<>&/\u2028\x7f") == '"<>&/\u2028\x7f"'.encode()
    assert dump_with_json('\x00\x1f\b\t\n\f\r"\\') == b'"\\u0000\\u001f\\b\\t\\n\\f\\r\\"\\\\"'
