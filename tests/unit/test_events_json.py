"""Events as JSON lines."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records import NODE
from tetrapy.events import flags
from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.events.json import Dump, JsonEncoder, dump_with_json
from tetrapy.events.process import Process, UnknownProcess

# All of Unicode that is text, with what encoders treat in their own way drawn often.
texts = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from(
        '"\\/\0\x01\x08\t\n\x0b\x0c\r\x1f\x7f\x80\x9f\u2028\u2029\ufeff\ufffd\U0001f600'
    ),
    max_size=20,
)
numbers = st.integers(0, 2**64 - 1)


def both() -> list[Any]:
    """The standard encoder, and orjson where there is one."""
    marks = []
    try:
        import orjson
    except ImportError:
        orjson_dumps = None
        marks = [pytest.mark.skip(reason=f"no orjson for Python {sys.version.split()[0]}")]
    else:
        orjson_dumps = orjson.dumps
    return [
        pytest.param(dump_with_json, id="json"),
        pytest.param(orjson_dumps, id="orjson", marks=marks),
    ]


def process(**fields: Any) -> Process:
    """A process with every field set, but for those given."""
    made = Process(NODE.encode(), 42, 5, 10_000_000_000)
    values = {
        "uid": 0,
        "auid": 1000,
        "cwd": "/root",
        "binary": "/usr/bin/id",
        "arguments": "-u",
        "flags": flags.EXECVE | flags.CLONE,
        "start_time": "2026-01-01T00:00:00.123456789Z",
        "docker": "0123456789abcdef0123456789abcde",
        "parent_exec_id": "cGFyZW50",
        "refcnt": 1,
        "in_init_tree": True,
    }
    for name, value in {**values, **fields}.items():
        setattr(made, name, value)
    return made


@given(st.dictionaries(texts, texts | numbers | st.booleans(), max_size=6))
def test_both_encoders_give_the_same_bytes(value: dict[str, Any]) -> None:
    """json, set as it is here, writes what orjson writes: any text, integers, booleans."""
    orjson = pytest.importorskip("orjson")
    assert dump_with_json(value) == orjson.dumps(value)


@pytest.mark.parametrize("dump", both())
def test_each_character_is_escaped_as_protojson_escapes_it(dump: Dump) -> None:
    """Only quote, backslash and control characters; all else is UTF-8 as it is."""
    short = {
        '"': '\\"',
        "\\": "\\\\",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
    }
    for code in [*range(0x3000), 0xFFFD, 0xFFFF, 0x1F600, 0x10FFFF]:
        character = chr(code)
        expected = short.get(character, f"\\u{code:04x}" if code < 32 else character)
        assert dump(character) == f'"{expected}"'.encode(), hex(code)


@pytest.mark.parametrize("dump", both())
def test_a_whole_exec_line(dump: Dump) -> None:
    """Every field of this agent, in the order of the message."""
    line = JsonEncoder(NODE, dump).encode(ProcessExec(process(), process(refcnt=0, docker="")))
    assert line.decode() == (
        '{"process_exec":{"process":{"exec_id":"aG9zdDE6MTAwMDAwMDAwMDA6NDI=","pid":42,"uid":0,'
        '"cwd":"/root","binary":"/usr/bin/id","arguments":"-u","flags":"execve clone",'
        '"start_time":"2026-01-01T00:00:00.123456789Z","auid":1000,'
        '"docker":"0123456789abcdef0123456789abcde","parent_exec_id":"cGFyZW50","refcnt":1,'
        '"tid":42,"in_init_tree":true},'
        '"parent":{"exec_id":"aG9zdDE6MTAwMDAwMDAwMDA6NDI=","pid":42,"uid":0,'
        '"cwd":"/root","binary":"/usr/bin/id","arguments":"-u","flags":"execve clone",'
        '"start_time":"2026-01-01T00:00:00.123456789Z","auid":1000,'
        '"parent_exec_id":"cGFyZW50","tid":42,"in_init_tree":true}},'
        '"node_name":"host1","time":"2026-01-01T00:00:00.123456789Z"}\n'
    )


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (0, ""),
        (0x100, ',"status":1'),
        (9, ',"signal":"SIGKILL"'),
        (0x8B, ',"signal":"SIGSEGV"'),
        (34, ""),
        (0x10F, ',"signal":"SIGTERM","status":1'),
    ],
)
@pytest.mark.parametrize("dump", both())
def test_a_whole_exit_line(dump: Dump, code: int, told: str) -> None:
    """signal, status and time follow parent; what is zero or without a name is left out."""
    body = dump(process().fields()).decode()
    event = ProcessExit(process(), process(), code, "2026-01-01T00:00:09Z")
    assert JsonEncoder(NODE, dump).encode(event).decode() == (
        f'{{"process_exit":{{"process":{body},"parent":{body}{told},'
        '"time":"2026-01-01T00:00:09Z"},"node_name":"host1","time":"2026-01-01T00:00:09Z"}\n'
    )


def test_without_parent() -> None:
    """An unknown parent is left out."""
    encoder = JsonEncoder(NODE, dump_with_json)
    for event in (ProcessExec(process(), None), ProcessExit(process(), None, 0, "t")):
        message = next(iter(json.loads(encoder.encode(event)).values()))
        assert "parent" not in message


def test_unset_fields_are_left_out_and_wrappers_are_not() -> None:
    """Empty strings and a zero refcnt vanish; pid, uid, auid, tid and in_init_tree always show."""
    bare = Process(NODE.encode(), 0, 0, 0)
    bare.uid = bare.auid = 0
    bare.flags = flags.EXECVE
    bare.start_time = bare.parent_exec_id = "x"
    assert list(bare.fields().items()) == [
        ("exec_id", bare.exec_id),
        ("pid", 0),
        ("uid", 0),
        ("flags", "execve"),
        ("start_time", "x"),
        ("auid", 0),
        ("parent_exec_id", "x"),
        ("tid", 0),
        ("in_init_tree", False),
    ]


def test_flags_without_a_word_are_left_out() -> None:
    """A field of the message that would be empty is not there."""
    assert "flags" not in process(flags=0x2).fields()


def test_an_unknown_process_shows_pid_and_start_time() -> None:
    """Nothing is made up for a process that was never seen."""
    unknown = UnknownProcess(NODE.encode(), 7, 0, 0)
    unknown.start_time = "2026-01-01T00:00:00Z"
    assert unknown.fields() == {"pid": 7, "start_time": "2026-01-01T00:00:00Z"}


def test_a_process_is_encoded_once() -> None:
    """The second line that shows a process takes its bytes from the first."""
    dumped = []

    def dump(value: Any) -> bytes:
        dumped.append(value)
        return dump_with_json(value)

    encoder = JsonEncoder(NODE, dump)
    child, parent = process(), process(pid=1)
    encoder.encode(ProcessExec(parent, None))
    encoder.encode(ProcessExec(child, parent))
    encoder.encode(ProcessExit(child, parent, 0, "t"))
    assert len(dumped) == 3  # the node's name and two processes


@pytest.mark.parametrize("dump", both())
@pytest.mark.parametrize(
    "node", ["100%", "%b%d%%", 'a"b\\', "\u00e9\u2028\U0001f600", "(none)", ""]
)
def test_any_node_name(dump: Dump, node: str) -> None:
    """The name comes back from the line as it was, whatever characters it has."""
    for event in (ProcessExec(process(), None), ProcessExit(process(), None, 1, "t")):
        assert json.loads(JsonEncoder(node, dump).encode(event))["node_name"] == node


@pytest.mark.parametrize("dump", both())
@given(binary=texts, cwd=texts, arguments=texts, pid=st.integers(0, 2**32 - 1))
def test_a_line_is_one_json_object(
    dump: Dump, binary: str, cwd: str, arguments: str, pid: int
) -> None:
    """Whatever text a process carries, its line parses back to it and has one line feed."""
    shown = process(binary=binary, cwd=cwd, arguments=arguments, uid=pid)
    line = JsonEncoder(NODE, dump).encode(ProcessExec(shown, shown))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    read = json.loads(line)["process_exec"]
    assert read["process"] == read["parent"]
    assert read["process"].get("binary", "") == binary
    assert read["process"].get("cwd", "") == cwd
    assert read["process"].get("arguments", "") == arguments
    assert read["process"]["uid"] == pid
