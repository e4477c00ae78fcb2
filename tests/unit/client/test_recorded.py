# SPDX-License-Identifier: Apache-2.0
"""Lines of export files, read as Go's protojson reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.client.recorded import event_of

DATA = Path(__file__).resolve().parents[2] / "data/events"


def kprobe(argument: Any) -> Any:
    """An argument of a call, as it is read."""
    line = json.dumps({"process_kprobe": {"args": [argument]}})
    return event_of(line.encode())["process_kprobe"]["args"][0]


def process(**fields: Any) -> Any:
    """A process, as it is read."""
    return event_of(json.dumps({"process_exec": {"process": fields}}).encode())["process_exec"][
        "process"
    ]


def test_recorded_lines_stay_as_they_are() -> None:
    """What Tetragon and the agent wrote is the canonical form already."""
    lines = [
        line
        for path in sorted(DATA.glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
        if line.startswith(b"{")
    ]
    assert len(lines) > 50
    for line in lines:
        expected = json.loads(line)
        assert event_of(line) == expected
        assert list(event_of(line)) == list(expected)


def test_both_spellings_and_other_forms() -> None:
    """Names in camel case, numbers as texts, texts of bytes in the alphabet for addresses."""
    line = b' {"processKprobe":{"functionName":"f","args":[{"sizeArg":5}]},"nodeName":"n"}\\r\\n'
    assert event_of(line.replace(b"\\r\\n", b"\r\n")) == {
        "process_kprobe": {"function_name": "f", "args": [{"size_arg": "5"}]},
        "node_name": "n",
    }
    assert process(pid="7") == {"pid": 7}
    assert process(pid=7.0) == {"pid": 7}
    assert process(pid="7e1") == {"pid": 70}
    assert kprobe({"bytesArg": "-_8"}) == {"bytes_arg": "+/8="}
    assert kprobe({"longArg": -(1 << 63)}) == {"long_arg": str(-(1 << 63))}


def test_what_is_not_set() -> None:
    """Zeros are left out, but in wrappers and alternatives; so are nulls and unknown names."""
    assert process(uid=0, refcnt=0, cwd="", pod={}, ns=None, unknown=[1]) == {"uid": 0, "pod": {}}
    assert kprobe({"int_arg": 0}) == {"int_arg": 0}
    assert kprobe({"bpf_cmd_arg": "BPF_MAP_CREATE"}) == {"bpf_cmd_arg": "BPF_MAP_CREATE"}
    assert process(cap={"effective": ["CAP_NEW", 21, 99]}) == {
        "cap": {"effective": ["CAP_SYS_ADMIN", 99]}
    }
    assert event_of(b'{"process_kprobe":{"action":"KPROBE_ACTION_UNKNOWN"}}') == {
        "process_kprobe": {}
    }
    assert process(binary_properties={"privileges_changed": [0]}) == {
        "binary_properties": {"privileges_changed": ["PRIVILEGES_CHANGED_UNSET"]}
    }
    assert process(process_credentials={"securebits": [0]}) == {
        "process_credentials": {"securebits": ["SecBitNotSet"]}
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.500Z"),
        ("2026-01-02T03:04:05.123400Z", "2026-01-02T03:04:05.123400Z"),
        ("2026-01-02T03:04:05.000000001+01:30", "2026-01-02T01:34:05.000000001Z"),
    ],
)
def test_times(text: str, expected: str) -> None:
    """In UTC, with no, three, six or nine digits."""
    assert process(start_time=text) == {"start_time": expected}


BAD = [
    b"",
    b"x",
    b"[]",
    b'{"process_exec":{}} {}',
    b'{"process_exec":{},"process_exit":{}}',
    b'{"process_exec":{},"processExec":{}}',
    b'{"process_exec":{},"process_exec":{}}',
    b'{"process_exec":[]}',
    b'{"node_name":1}',
    b'{"node_name":"\\ud800"}',
    b'{"node_name":"\xff"}',
    b'{"time":"2026-13-02T03:04:05Z"}',
    b'{"time":"2026-01-02 03:04:05Z"}',
    b'{"time":"0001-01-01T00:00:00+01:00"}',
    b'{"process_exec":{"process":{"pid":-1}}}',
    b'{"process_exec":{"process":{"pid":4294967296}}}',
    b'{"process_exec":{"process":{"pid":1.5}}}',
    b'{"process_exec":{"process":{"pid":" 1"}}}',
    b'{"process_exec":{"process":{"pid":true}}}',
    b'{"process_exec":{"process":{"in_init_tree":1}}}',
    b'{"process_exec":{"ancestors":{}}}',
    b'{"process_exec":{"ancestors":[null]}}',
    b'{"process_kprobe":{"args":[{"int_arg":1,"uint_arg":2}]}}',
    b'{"process_kprobe":{"args":[{"int_arg":1,"cred_arg":{}}]}}',
    b'{"process_loader":{"buildid":"A"}}',
    b'{"process_loader":{"buildid":"AQ="}}',
    b'{"process_exec":{"process":{"pod":{"pod_labels":{"a":1}}}}}',
]


@pytest.mark.parametrize("line", BAD)
def test_what_is_no_event(line: bytes) -> None:
    """Errors of the form, of types and of ranges."""
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong, the line is passed over
        event_of(line)


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_line(line: bytes) -> None:
    """A line is an event or a ValueError."""
    try:
        event_of(line)
    except ValueError:
        pass
