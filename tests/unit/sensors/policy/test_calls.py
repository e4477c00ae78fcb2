# SPDX-License-Identifier: Apache-2.0
"""Records of calls -> events: whose they are, and records that make no sense."""

from __future__ import annotations

import json
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.calls import (
    INIT,
    SCHEMA,
    TASK,
    CallWorld,
    bits,
    body,
    call,
    flags_of,
    kprobe,
    number,
    value,
)
from tests.support.json_schema import mistakes
from tests.support.records import SECOND, Task, execute, exit_of, fork
from tetrapy.errors import FormatError
from tetrapy.events.process import UnknownProcess
from tetrapy.policy.names import ARGUMENT_TYPES
from tetrapy.sensors.policy import hook as hooks_module
from tetrapy.sensors.policy.hook import KPROBE, LSM, TRACEPOINT, UPROBE, Hook, HookValue

ERROR = {"error_arg": {"Message": "Bad address for basic type"}}
LATER = {  # types whose values the kernel side does not read yet
    *"auto skb bpf_attr perf_event bpf_map user_namespace cred load_info module bpf_prog".split(),
    "nop",
}


def test_the_action_of_the_selector(world: CallWorld) -> None:
    """Which matched first; a selector that the hook does not have makes no sense."""
    hook = kprobe(actions=("KPROBE_ACTION_POST", "KPROBE_ACTION_SIGKILL"))
    which = world.hooks.add(hook)
    assert body(world, call(which, selector=1))["action"] == "KPROBE_ACTION_SIGKILL"
    assert world.feed(call(which, selector=2)) == []
    assert world.dispatcher.errors == 1


# --- who called ---------------------------------------------------------------------------------


def test_the_process_as_its_calls_show_it(world: CallWorld) -> None:
    """With a reference and the thread; its own JSON stays as it is."""
    which = world.hooks.add(kprobe())
    shown = body(world, call(which, tid=77))["process"]
    (process,) = (one for one in world.table if one.pid == TASK.pid)
    own = json.loads(process.encoded())
    assert "refcnt" not in own
    assert shown == {**own, "refcnt": 1, "tid": 77}
    assert list(shown)[-3:] == ["refcnt", "tid", "in_init_tree"]
    assert body(world, call(which))["process"]["tid"] == TASK.pid
    assert body(world, call(which))["parent"]["pid"] == INIT.pid
    assert world.one(exit_of(TASK)).process is process
    assert json.loads(process.encoded()) == own


def test_a_text_that_looks_like_a_thread(world: CallWorld) -> None:
    """What a process is called cannot take the place of its thread id."""
    world.feed(execute(Task(60, SECOND), INIT, b'/bin/"tid":60', (b"x", b'"tid":60,')))
    shown = body(world, call(world.hooks.add(kprobe()), task=Task(60, SECOND), tid=61))["process"]
    assert (shown["binary"], shown["tid"]) == ('/bin/"tid":60', 61)
    assert shown["arguments"] == '"tid":60,'


def test_a_process_that_nobody_knows(world: CallWorld) -> None:
    """Only what the record says of it."""
    made = body(world, call(world.hooks.add(kprobe()), task=Task(99, 4 * SECOND)))
    assert made["process"] == {"pid": 99, "start_time": "2026-01-01T00:00:04Z"}
    assert "parent" not in made


def test_calls_of_a_process_that_has_ended(world: CallWorld) -> None:
    """Files are closed behind the exit: it is shown as before, and is not in the table again."""
    which = world.hooks.add(kprobe())
    before = body(world, call(which))
    world.feed(exit_of(TASK))
    assert body(world, call(which)) == before
    assert TASK.pid not in world.live
    other = body(world, call(which, task=Task(TASK.pid, 9 * SECOND)))
    assert set(other["process"]) == {"pid", "start_time"}


@pytest.mark.slow
def test_images_that_ended_are_few(world: CallWorld) -> None:
    """However many processes end."""
    which = world.hooks.add(kprobe())
    for pid in range(100, 1400):
        task = Task(pid, pid * SECOND)
        world.feed(fork(task, INIT), exit_of(task))
    assert len(world.tracker.ended) <= 256  # type: ignore[arg-type]
    assert isinstance(world.one(call(which, task=Task(100, 100 * SECOND))).process, UnknownProcess)


def test_an_idle_cpu(world: CallWorld) -> None:
    """Its thread has no pid, and another start on each CPU."""
    made = body(world, call(world.hooks.add(kprobe()), task=Task(0, 12345)))
    assert made["process"]["binary"] == made["parent"]["binary"] == "<kernel>"


def test_the_image_that_the_kernel_did_not_report(tmp_path: Path) -> None:
    """Filters suppress it: procfs tells of it, the table does not know it."""
    world = CallWorld(str(tmp_path))
    world.feed(execute(INIT, Task(0)), execute(TASK, INIT, b"/bin/before"))
    which = world.hooks.add(kprobe())
    record = call(which, flags=["CALL_PROCESS_UNREPORTED"])
    # Gone before procfs was asked: the image before would be the wrong one.
    assert set(body(world, record)["process"]) == {"pid", "start_time"}
    place = tmp_path / str(TASK.pid)
    place.mkdir()
    fields = ["S", INIT.pid, *[0] * 17, TASK.start // 10_000_000]
    (place / "stat").write_text(f"{TASK.pid} (it) {' '.join(map(str, fields))}")
    (place / "status").write_text("Uid:\t7\t7\t7\t7\nGid:\t0\t0\t0\t0\n")
    (place / "cmdline").write_bytes(b"it\0-x\0")
    (place / "exe").symlink_to("/bin/it")
    (place / "cwd").symlink_to("/")
    for _ in range(2):
        shown = body(world, record)["process"]
        assert (shown["binary"], shown["arguments"], shown["uid"]) == ("/bin/it", "-x", 7)
    (place / "exe").unlink()
    (place / "exe").symlink_to("/bin/other")
    assert body(world, record)["process"]["binary"] == "/bin/other"
    assert world.live[TASK.pid].binary == "/bin/before"


def test_ancestors_for_those_who_ask() -> None:
    """By kind of event."""
    for asked in (frozenset(), frozenset({"PROCESS_KPROBE"})):
        world = CallWorld(with_ancestors=asked, ancestors=True)
        middle = Task(30, SECOND)
        world.feed(execute(INIT, Task(0)), execute(middle, INIT, at=SECOND), execute(TASK, middle))
        made = body(world, call(world.hooks.add(kprobe())))
        found = [one["pid"] for one in made.get("ancestors", [])]
        assert found == ([INIT.pid] if asked else [])
        tracepoint = Hook(TRACEPOINT, "p", ("s", "e"))
        assert "ancestors" not in body(world, call(world.hooks.add(tracepoint)))


# --- calls that return --------------------------------------------------------------------------


def test_a_hook_that_is_gone(world: CallWorld) -> None:
    """Records that were on their way make events, until the buffer was empty; then none."""
    which = world.hooks.add(kprobe())
    world.hooks.remove(which)
    assert len(world.feed(call(which))) == 1
    world.calls.late()
    assert len(world.feed(call(which))) == 1
    world.hooks.is_drained = lambda: False
    world.calls.late()
    assert len(world.feed(call(which))) == 1
    world.hooks.is_drained = lambda: True
    world.calls.late()
    assert world.feed(call(which)) == []
    assert world.dispatcher.errors == 0


def test_hooks_that_are_gone_are_few(world: CallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the buffer never empties, those that left first are forgotten."""
    monkeypatch.setattr(hooks_module, "MAX_LEAVING", 2)
    numbers = [world.hooks.add(kprobe()) for _ in range(3)]
    for one in numbers:
        world.hooks.remove(one)
    assert [len(world.feed(call(one))) for one in numbers] == [0, 1, 1]


# --- hostile and damaged records ----------------------------------------------------------------

SHOWN = sorted(set(ARGUMENT_TYPES) - LATER)


@pytest.mark.slow
@given(st.data())
def test_any_record_makes_an_event_or_a_format_error(data: st.DataObject) -> None:
    """And what it makes is valid JSON, by the schema."""
    world = CallWorld()
    kinds = data.draw(st.lists(st.sampled_from(SHOWN), max_size=5))
    kind, target = data.draw(
        st.sampled_from(
            [(KPROBE, ("f",)), (TRACEPOINT, ("s", "e")), (UPROBE, ("/bin/x", "f")), (LSM, ("f",))]
        )
    )
    values = tuple(HookValue(one, "l") for one in kinds)
    which = world.hooks.add(Hook(kind, "p", target, values))
    flags = st.lists(st.sampled_from(sorted(flags_of("call_value_flag"))), unique=True)
    parts = []
    for at in range(len(kinds)):
        content = data.draw(st.binary(max_size=90))
        detail = data.draw(st.integers(0, 2**32 - 1))
        parts.append(value(at, content, *data.draw(flags), detail=detail))
    record = bytearray(call(which, *parts, selector=data.draw(st.integers(0, 1))))
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(record) - 1))
        record[place] = data.draw(st.integers(0, 255))
    record = record[: data.draw(st.integers(0, len(record)) | st.just(len(record)))]
    try:
        event = world.calls.on_call(bytes(record))
    except FormatError:
        return
    if event is not None:
        assert mistakes(json.loads(world.line(event)), SCHEMA, strict=True) == []


@pytest.mark.parametrize("size", [0, 10, 60])
def test_a_record_that_is_cut(world: CallWorld, size: int) -> None:
    """It is counted as one without sense."""
    which = world.hooks.add(kprobe("int"))
    world.feed(call(which, number(0, 1))[:size])
    assert world.dispatcher.errors == 1


def test_a_value_that_ends_beyond_the_values(world: CallWorld) -> None:
    """Whatever follows in the record."""
    which = world.hooks.add(kprobe("string"))
    record = call(which, value(0, b"abc"), values_size=18)
    with pytest.raises(FormatError, match="ends beyond"):
        world.calls.on_call(record)
    with pytest.raises(FormatError, match="by its own sizes"):
        world.calls.on_call(call(which, values_size=struct.unpack("<I", b"\xff" * 4)[0]))


def test_the_longest_line(world: CallWorld) -> None:
    """Of texts and bytes that take more than a line may, each is cut, and says so where it can."""
    kinds = ["string", "file", "char_buf", "char_buf", "sockaddr_un"]
    which = world.hooks.add(kprobe(*kinds))
    long = b"\1" * 4096
    event = world.one(
        call(
            which,
            value(0, long),
            value(1, long, detail=stat.S_IFREG | 0o644),
            value(2, bytes(200_000), detail=200_000),
            value(3, bytes(200_000), "CALL_VALUE_CUT", detail=300_000),
            value(4, long, detail=1),
        )
    )
    world.encoder._most = 64 << 10
    line = world.line(event)
    assert len(line) <= 64 << 10
    made = json.loads(line)
    assert mistakes(made, SCHEMA, strict=True) == []
    text, file, cut, more, path = made["process_kprobe"]["args"]
    assert len(text["string_arg"]) > 1000
    assert file["file_arg"]["flags"] == "unresolvedPathComponents"
    assert cut["truncated_bytes_arg"]["orig_size"] == "200000"
    assert more["truncated_bytes_arg"]["orig_size"] == "300000"
    assert len(path["sockaddrun_arg"]["path"]) > 1000
    assert world.encoder.cut_lines == 1


def test_flags_are_those_of_the_kernel_side() -> None:
    """A flag that is new there has to be understood here."""
    assert set(flags_of("call_flag")) == {
        "CALL_RETURNED",
        "CALL_PROCESS_UNREPORTED",
        "CALL_UNWANTED",
        "CALL_CHUNK",
        "CALL_UNKNOWN_WORKLOAD",
        "CALL_RETURN_LOST",
        "CALL_HASH_FOLLOWS",
    }
    assert bits("call_value_flag", flags_of("call_value_flag")) == 31
