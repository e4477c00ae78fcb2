# SPDX-License-Identifier: Apache-2.0
"""Events as JSON lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import EPOCH, NODE, SECOND
from tests.support.shown_process import (
    any_call,
    any_process,
    detailed,
    fields,
    message,
    plain,
    process,
    texts,
)
from tetrapy.events import flags
from tetrapy.events.calls import (
    CallEvent,
    ProcessLsm,
    ProcessTracepoint,
    ProcessUprobe,
    ProcessUsdt,
)
from tetrapy.events.event import Event
from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.events.json import JsonEncoder, body_of
from tetrapy.events.loader import ProcessLoader
from tetrapy.events.process import Process, UnknownProcess
from tetrapy.events.rate_limit import RateLimitInfo
from tetrapy.events.schema import EVENTS, MADE, PROCESS
from tetrapy.events.text import rfc3339
from tetrapy.events.throttle import START, ProcessThrottle
from tetrapy.visible import printable


def test_each_character_is_escaped_as_protojson_escapes_it() -> None:
    """Quote, backslash and control characters; all else that is seen is UTF-8 as it is."""
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
        is_seen = printable(character) == character
        expected = short.get(character, character if is_seen else json.dumps(character)[1:-1])
        assert f'"binary":"{expected}"'.encode() in process(binary=character).encoded(), hex(code)


def test_a_whole_exec_line() -> None:
    """Every field of this agent, in the order of the message."""
    line = JsonEncoder(NODE).encode(ProcessExec(process(), process(refcnt=0, docker="")))
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
    ("code", "reported"),
    [
        (0, ""),
        (0x100, ',"status":1'),
        (9, ',"signal":"SIGKILL"'),
        (0x8B, ',"signal":"SIGSEGV"'),
        (34, ',"signal":"SIGRTMIN"'),
        (37, ',"signal":"SIGRTMIN+3"'),
        (0x10F, ',"signal":"SIGTERM","status":1'),
    ],
)
def test_a_whole_exit_line(code: int, reported: str) -> None:
    """signal, status and time follow parent; what is zero or without a name is left out."""
    body = plain(fields(process())).decode()
    event = ProcessExit(process(), process(), code, EPOCH + 9 * SECOND)
    assert JsonEncoder(NODE).encode(event).decode() == (
        f'{{"process_exit":{{"process":{body},"parent":{body}{reported},'
        '"time":"2026-01-01T00:00:09Z"},"node_name":"host1","time":"2026-01-01T00:00:09Z"}\n'
    )


@pytest.mark.slow
@given(any_process())
def test_what_is_written_out_is_the_message(made: Process) -> None:
    """The bytes of a process are those that an encoder makes of its fields."""
    assert made.encoded() == plain(message(PROCESS, made))


def as_kind(called: CallEvent, kind: type[CallEvent]) -> CallEvent:
    """The same call as an event of another kind."""
    names = [name for name in CallEvent.__slots__ if name != "undecided"]
    fields = {name: getattr(called, name) for name in names}
    return kind(**fields)


@pytest.mark.slow
@given(
    any_process(),
    st.none() | any_process(),
    st.lists(any_process(), max_size=2),
    st.integers(0, 2**17),
    texts,
    any_call(),
)
def test_every_event_is_its_message(
    made: Process,
    parent: Process | None,
    ancestors: list[Process],
    code: int,
    text: str,
    called: CallEvent,
) -> None:
    """The fields of each event are those of the schema's message, in their order.

    Which form of escape a process has depends on its own texts, so bytes are compared above.
    """
    events: list[Event] = [
        ProcessExec(made, parent, tuple(ancestors)),
        ProcessExit(made, parent, code, EPOCH, tuple(ancestors)),
        called,
        as_kind(called, ProcessTracepoint),
        ProcessLoader(made, code, parent, EPOCH, text, text.encode(), tuple(ancestors)),
        as_kind(called, ProcessUprobe),
        ProcessThrottle(START, text, EPOCH),
        as_kind(called, ProcessLsm),
        as_kind(called, ProcessUsdt),
        RateLimitInfo(code, EPOCH),
    ]
    assert [event.name for event in events] == list(MADE)
    for event in events:
        body = message(EVENTS[event.name], event)
        line = {event.name: body, "node_name": NODE, "time": rfc3339(event.time)}
        assert json.dumps(json.loads(JsonEncoder(NODE).encode(event))) == json.dumps(line)
        assert body_of(event) == body


def test_without_parent() -> None:
    """An unknown parent is left out."""
    encoder = JsonEncoder(NODE)
    for event in (ProcessExec(process(), None), ProcessExit(process(), None, 0, EPOCH)):
        message = next(iter(json.loads(encoder.encode(event)).values()))
        assert "parent" not in message


def test_unset_fields_are_left_out_and_wrappers_are_not() -> None:
    """Empty strings and a zero refcnt vanish; pid, uid, auid, tid and in_init_tree always show."""
    bare = Process(NODE.encode(), 0, 0, 0)
    bare.uid = bare.auid = 0
    bare.flags = flags.EXECVE
    bare.start_time = EPOCH
    bare.parent_exec_id = "x"
    assert list(fields(bare).items()) == [
        ("exec_id", bare.exec_id),
        ("pid", 0),
        ("uid", 0),
        ("flags", "execve"),
        ("start_time", "2026-01-01T00:00:00Z"),
        ("auid", 0),
        ("parent_exec_id", "x"),
        ("tid", 0),
        ("in_init_tree", False),
    ]


def test_flags_without_a_word_are_left_out() -> None:
    """A field of the message that would be empty is not there."""
    assert "flags" not in fields(process(flags=0x2))


def test_an_unknown_process_shows_pid_and_start_time() -> None:
    """Nothing is made up for a process that was never seen."""
    unknown = UnknownProcess(NODE.encode(), 7, 0, 0)
    unknown.start_time = EPOCH
    assert fields(unknown) == {"pid": 7, "start_time": "2026-01-01T00:00:00Z"}


def test_a_process_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second line that shows a process takes its bytes from the first."""
    encoder = JsonEncoder(NODE)
    child, parent = process(), process(pid=1)
    encoder.encode(ProcessExec(parent, None))
    encoder.encode(ProcessExec(child, parent))
    before = (child.json, parent.json)
    monkeypatch.setattr(Process, "encoded", None)
    line = encoder.encode(ProcessExit(child, parent, 0, EPOCH))
    assert None not in before
    assert all(body in line for body in before)


@pytest.mark.parametrize(
    "node", ["100%", "%b%d%%", 'a"b\\', "\u00e9\u2028\U0001f600", "(none)", ""]
)
def test_any_node_name(node: str) -> None:
    """The name comes back from the line as it was, whatever characters it has."""
    for event in (ProcessExec(process(), None), ProcessExit(process(), None, 1, EPOCH)):
        assert json.loads(JsonEncoder(node).encode(event))["node_name"] == node


@given(binary=texts, cwd=texts, arguments=texts, pid=st.integers(0, 2**32 - 1))
def test_a_line_is_one_json_object(binary: str, cwd: str, arguments: str, pid: int) -> None:
    """Whatever text a process carries, its line parses back to it and has one line feed."""
    shown = process(binary=binary, cwd=cwd, arguments=arguments, uid=pid)
    line = JsonEncoder(NODE).encode(ProcessExec(shown, shown))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    read = json.loads(line)["process_exec"]
    assert read["process"] == read["parent"]
    assert read["process"].get("binary", "") == binary
    assert read["process"].get("cwd", "") == cwd
    assert read["process"].get("arguments", "") == arguments
    assert read["process"]["uid"] == pid


def test_all_fields_of_a_process_in_their_order() -> None:
    """By the numbers of the message, the parts that settings ask for among them."""
    line = JsonEncoder(NODE).encode(ProcessExec(detailed(), None))
    message = json.loads(line)["process_exec"]["process"]
    assert list(message) == [
        "exec_id",
        "pid",
        "uid",
        "cwd",
        "binary",
        "arguments",
        "flags",
        "start_time",
        "auid",
        "docker",
        "parent_exec_id",
        "refcnt",
        "cap",
        "ns",
        "tid",
        "process_credentials",
        "binary_properties",
        "user",
        "in_init_tree",
        "environment_variables",
    ]
    assert message["user"] == {"name": "ann"}
    assert message["environment_variables"] == [
        {"Key": "PATH", "Value": "/bin"},
        {"Key": "EMPTY"},
        {"Key": "invalid", "Value": "x"},
    ]
    assert message["cap"] == {
        "permitted": ["CAP_CHOWN", "DAC_OVERRIDE"],
        "effective": ["CAP_CHOWN"],
    }


@pytest.mark.parametrize("refcnt", [0, 1])
def test_binary_properties_come_with_a_refcnt(refcnt: int) -> None:
    """Tetragon shows a copy then, and copies carry it."""
    encoder = JsonEncoder(NODE)
    shown = detailed(refcnt=refcnt)
    began = json.loads(encoder.encode(ProcessExec(shown, shown)))["process_exec"]
    assert began["process"]["refcnt"] == 1
    assert "binary_properties" not in began["parent"]
    assert began["parent"].get("refcnt", 0) == refcnt
    ended = json.loads(encoder.encode(ProcessExit(shown, shown, 0, EPOCH)))["process_exit"]
    assert ended["process"] == ended["parent"] == began["parent"]


def some_events() -> list[Event]:
    """One of each shape."""
    ancestors = (process(pid=1), detailed(pid=2, binary_properties=None))
    return [
        ProcessExec(process(), process()),
        ProcessExec(process(), None),
        ProcessExec(process(), process(), ancestors),
        ProcessExec(detailed(), process(), ancestors),
        ProcessExec(detailed(binary_properties=None), detailed()),
        ProcessExit(process(), process(), 0x109, EPOCH),
        ProcessExit(process(), None, 9, EPOCH),
        ProcessExit(detailed(), detailed(), 0x100, EPOCH, ancestors),
        ProcessThrottle(START, "session-1.scope", EPOCH),
        RateLimitInfo(2**33, EPOCH),
    ]


@pytest.mark.parametrize("cluster", ["", 'the "100%" cluster'])
@pytest.mark.parametrize("number", range(len(some_events())))
def test_the_short_way_and_the_long_one_agree(cluster: str, number: int) -> None:
    """Spliced from encoded processes, or from the message that a filter may change: same bytes."""
    encoder = JsonEncoder(NODE, cluster)
    event = some_events()[number]
    line = encoder.encode(event)
    assert encoder.encode(event, lambda body: body) == line
    assert list(json.loads(line))[1:] == ["node_name", "time"] + ["cluster_name"] * bool(cluster)


def test_a_line_that_stands_for_many() -> None:
    """aggregation_info comes before the name of the cluster, its count as a text."""
    event = RateLimitInfo(1, EPOCH)
    line = JsonEncoder(NODE, "c").encode(event, lambda _: {}, 12)
    assert JsonEncoder(NODE, "c").encode(event, count=12) == line.replace(
        b"{}", b'{"number_of_dropped_process_events":"1"}'
    )
    assert list(json.loads(line).items()) == [
        ("rate_limit_info", {}),
        ("node_name", NODE),
        ("time", "2026-01-01T00:00:00Z"),
        ("aggregation_info", {"count": "12"}),
        ("cluster_name", "c"),
    ]


def test_events_about_no_process() -> None:
    """Their whole lines."""
    encoder = JsonEncoder(NODE)
    assert encoder.encode(RateLimitInfo(118, EPOCH)) == (
        b'{"rate_limit_info":{"number_of_dropped_process_events":"118"},'
        b'"node_name":"host1","time":"2026-01-01T00:00:00Z"}\n'
    )
    assert encoder.encode(ProcessThrottle(START, "x.scope", EPOCH)) == (
        b'{"process_throttle":{"type":"THROTTLE_START","cgroup":"x.scope"},'
        b'"node_name":"host1","time":"2026-01-01T00:00:00Z"}\n'
    )


def test_ancestors_follow_what_is_the_events_own() -> None:
    """In an exec behind the parent, in an exit behind the time."""
    encoder = JsonEncoder(NODE)
    ancestors = (process(pid=7), process(pid=1))
    began = json.loads(encoder.encode(ProcessExec(process(), process(pid=7), ancestors)))
    ended = json.loads(encoder.encode(ProcessExit(process(), process(pid=7), 9, EPOCH, ancestors)))
    assert list(began["process_exec"]) == ["process", "parent", "ancestors"]
    assert list(ended["process_exit"]) == ["process", "parent", "signal", "time", "ancestors"]
    assert [one["pid"] for one in ended["process_exit"]["ancestors"]] == [7, 1]
