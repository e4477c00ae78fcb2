# SPDX-License-Identifier: Apache-2.0
"""Compact lines, against what Tetragon's client writes for the same events."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tetrapy.client.colors import Colors, wanted
from tetrapy.client.compact import Compact, UnprintableError
from tetrapy.client.functions import FUNCTIONS
from tetrapy.client.recorded import event_of
from tetrapy.client.system_calls import entered
from tetrapy.json_codec import dumps
from tetrapy.visible import printable

ROOT = Path(__file__).resolve().parents[3]
PLACES = (os.environ.get("TETRAPY_SHARED", ""), *(ROOT.parents[n] / "shared" for n in (0, 1)))
VECTORS = "reference/tetragon/compact-vectors"
STOCK = ROOT / "tests/data/compact.jsonl"
PROCESS = {"binary": "/bin/ls", "arguments": "-l /tmp", "pid": 100}
FILE = {"file_arg": {"path": "/etc/passwd"}}
SOCK = {"sock_arg": {"saddr": "10.0.0.1", "sport": 4000, "daddr": "::1", "dport": 80}}
TCP = "tcp 10.0.0.1:4000 -> ::1:80"


def line(body: dict[str, Any], name: str = "process_kprobe", color: bool = False) -> str:
    """The text of an event of `ls` on the node `host`."""
    event = {name: {"process": PROCESS, **body}, "node_name": "host"}
    return Compact(Colors(color)).lines(event)


def call(function: str, *args: dict[str, Any]) -> str:
    """What is shown of a call: all but where and which program, then the details."""
    text = line({"function_name": function, "args": list(args)})
    what, found, details = text.rstrip("\n").partition(" host /bin/ls")
    assert found
    return f"{what}|{details}"


CALLS = [
    (("__x64_sys_write", FILE, {"bytes_arg": "aGk="}, {"size_arg": "2"}),
     "📝 write  | /etc/passwd 2 bytes"),
    (("sys_write", {"int_arg": 1}), "📝 write  |  "),
    (("sys_read", FILE, {}, {"int_arg": 2}), "📚 read   | /etc/passwd 0 bytes"),
    (("fd_install", {"int_arg": 3}, FILE), "📬 open   | /etc/passwd"),
    (("fd_install", FILE), "📬 open   | "),
    (("__arm64_sys_openat", {"int_arg": -100}, {"string_arg": "a\tb"}), '📬️ openat | "a\\tb"'),
    (("__ia32_sys_open", {"string_arg": "x"}, {"string_arg": "y"}), "📬️ open   | y"),
    (("sys_close", FILE), "📪 close  | /etc/passwd"),
    (("sys_close", {"int_arg": 3}), "📪 close  | "),
    (("sys_mount", {"string_arg": "a b"}, {"string_arg": "/mnt"}), '💾 mount  | "a b" /mnt'),
    (("sys_pivot_root", {"string_arg": "/new"}), "💾 pivot_root| /new "),
    (("sys_setuid", {"int_arg": 1000}), "🔑 setuid | 1000"),
    (("sys_setuid",), "🔑 setuid | "),
    (("sys_clock_settime", {"int_arg": 1}), "⏰ clock_settime|"),
    (("proc_exec_connector",), "🔧 proc_exec_connector|"),
    (("sys_setns", {"int_arg": 3}, {"int_arg": 0x40000000}), "🔧 setns  | net"),
    (("sys_setns", {"int_arg": 3}, {"int_arg": 5}), "🔧 setns  | "),
    (("tcp_connect", SOCK), f"🔌 connect| {TCP}"),
    (("tcp_connect", {"int_arg": 1}), "🔌 connect| tcp :0 -> :0"),
    (("tcp_close", SOCK), f"🧹 close  | {TCP}"),
    (("tcp_sendmsg", SOCK, {"int_arg": 12}), f"📤 sendmsg| {TCP} bytes 12"),
    (("tcp_sendmsg",), "📤 sendmsg|  bytes 0"),
    (("bpf_check", {"bpf_attr_arg": {"ProgType": "T", "ProgName": "n", "InsnCnt": 5}}),
     "🐝 bpf_load| T n instruction count 5"),
    (("security_perf_event_alloc", {"perf_event_arg": {"Type": "T", "KprobeFunc": "f"}}),
     "🐝 perf_event_alloc| T f"),
    (("security_bpf_map_create", {"bpf_map_arg": {"MapType": "T", "MapName": "m", "KeySize": 4}}),
     "🗺 bpf_map_create| T m key size 4 value size 0 max entries 0"),
    (("security_file_permission", FILE, {"int_arg": 4}), "📚 read   | /etc/passwd"),
    (("security_file_permission", FILE, {"int_arg": 6}),
     "❓ security_file_permission| /etc/passwd"),
    (("security_file_permission", FILE), "❓ security_file_permission| "),
    (("security_mmap_file", FILE, {"uint_arg": 7}), "📝 mmap-rwx| /etc/passwd"),
    (("security_mmap_file", FILE, {"uint_arg": 8}), "📝 mmap-  | /etc/passwd"),
    (("security_mmap_file", FILE), "❓ security_mmap_file| "),
    (("security_path_truncate", {"path_arg": {"path": "/a"}}), "📝 truncate| /a"),
    (("security_path_truncate",), "❓ security_path_truncate| "),
    (("security_file_truncate", FILE), "📝 truncate| /etc/passwd"),
    (("__x64_sys_ptrace",), "❓ syscall| __x64_sys_ptrace"),
    (("__x64_tcp_close", SOCK), f"🧹 close  | {TCP}"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "expected"), CALLS, ids=lambda one: str(one)[:40])
def test_calls(words: tuple[Any, ...], expected: str) -> None:
    """Icon, label and details of each function that has its own, and of those that have not."""
    assert call(*words) == expected


def test_each_function_is_tried() -> None:
    """The table of this test has all that the table of functions has."""
    tried = {re.sub("^__(x64|arm64|ia32)_", "", words[0]) for words, _ in CALLS}
    assert set(FUNCTIONS) - tried == {"security_bpf_map_alloc"}


def test_other_events() -> None:
    """Each kind of event beside calls, and what they show where fields are missing."""
    where = "host /bin/ls"
    assert line({}, "process_exec") == f'🚀 process {where} "-l /tmp"\n'
    assert line({"status": 3}, "process_exit") == f'💥 exit    {where} "-l /tmp" 3\n'
    assert line({"status": 9, "signal": "SIGKILL"}, "process_exit").endswith(" SIGKILL\n")
    assert line({}, "process_exit").endswith(" 0\n")
    assert line({"path": "/a b"}, "process_loader") == f'🧬 loader  {where} "/a b"\n'
    assert line({"path": "x", "buildid": "AQI="}, "process_loader") == (
        f"🧬 loader  {where} 0102 x\n"
    )
    tracepoint = {"subsys": "sched", "event": "a b"}
    assert line(tracepoint, "process_tracepoint") == f"⁉️ tracepoint {where} sched a b\n"
    uprobe = {"path": "/a b", "symbol": "main"}
    assert line(uprobe, "process_uprobe") == f'🕵️ uprobe  {where} "/a b" main\n'
    usdt = {"path": "/a", "provider": "p", "name": "n"}
    assert line(usdt, "process_usdt") == f"🕵️ usdt    {where} /a p n\n"
    assert line({"function_name": "file_open"}, "process_lsm") == (
        f"🔒 LSM     {where} file_open\n"
    )
    throttle = {"type": "THROTTLE_STOP", "cgroup": "a b"}
    assert Compact(Colors(False)).lines({"process_throttle": throttle}) == (
        '🧬 throttle STOP  "a b"\n'
    )
    assert Compact(Colors(False)).lines({"test": {}}) == "TEST EVENT\n"


def test_where_it_was() -> None:
    """The pod if there is one, even one without a name, else the node."""
    body = {"process": {"pod": {"namespace": "default", "name": "x wing"}}}
    assert Compact(Colors(False)).lines({"process_exec": body}) == "🚀 process default/x wing  \n"
    body = {"process": {"pod": {}}}
    assert Compact(Colors(False)).lines({"process_exec": body}) == "🚀 process /  \n"
    assert Compact(Colors(False)).lines({"process_exec": {"process": {}}}) == "🚀 process   \n"


def test_a_container_outside_of_kubernetes() -> None:
    """Tetragon tells no pod there, so this is ours: the node and the container's name."""
    assert line({"process": {"pod": {"container": {"name": "web"}}}}, "process_exec") == (
        "🚀 process host/web  \n"
    )
    pod = {"namespace": "default", "container": {"name": "web"}}
    assert line({"process": {"pod": pod}}, "process_exec") == "🚀 process default/  \n"


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({}, "unknown event type: UNDEF"),
        ({"rate_limit_info": {}}, "unknown event type: RATE_LIMIT_INFO"),
        ({"process_exec": {"parent": {}}}, "process field is not set"),
    ],
)
def test_what_has_no_line(event: dict[str, Any], why: str) -> None:
    """Events that Tetragon's client cannot print, and its words for it."""
    with pytest.raises(UnprintableError, match=why):
        Compact(Colors(False)).lines(event)


def test_stacks() -> None:
    """Below a call's line; numbers in hexadecimal, names in quotes where they need any."""
    body = {
        "function_name": "f",
        "kernel_stack_trace": [{"address": "281472829259905", "offset": "16", "symbol": "a b"}, {}],
        "user_stack_trace": [{"offset": "255", "module": "/lib/x"}, {"symbol": "main"}],
    }
    assert line(body).split("\n", 1)[1] == (
        'Kernel:\n   0xffff80008081: "a b"+0x10\n   0x0: +0x0\n'
        "User:\n   0x0: (/lib/x+0xff)\n   0x0: main (+0x0)\n"
    )
    hidden = Compact(Colors(False), stack_traces=False)
    event = {"process_kprobe": {"process": PROCESS, **body}}
    assert hidden.lines(event).count("\n") == 1
    assert line(body, color=True).endswith("\x1b[33m (+0x0)\n\x1b[0m")


def test_hashes() -> None:
    """Of the hooks that have a path in their first argument, and only if there is a hash."""
    body = {"function_name": "file_open", "args": [FILE], "ima_hash": "sha256:ab"}
    assert line(body, "process_lsm").endswith("\n   /etc/passwd sha256:ab\n")
    for changed in ({"args": []}, {"args": [{"int_arg": 1}]}, {"function_name": "inode_mkdir"}):
        assert line({**body, **changed}, "process_lsm").count("\n") == 1
    event = {"process_lsm": {"process": PROCESS, **body}}
    assert Compact(Colors(False), ima_hash=False).lines(event).count("\n") == 1


def test_note_on_capabilities() -> None:
    """At its column, counted in bytes, for long lists; with colours there is always something."""
    many = {**PROCESS, "cap": {"effective": ["CAP_CHOWN"] * 22}}
    text = Compact(Colors(False)).lines({"process_exec": {"process": many}, "node_name": "host"})
    start = '🚀 process host /bin/ls "-l /tmp" '
    note = "🛑 CAP_SYS_ADMIN"
    assert text == start + note.rjust(120 - len(start.encode()) + 1) + "\n"
    few = {**PROCESS, "cap": {"effective": ["CAP_CHOWN"] * 21}}
    assert "🛑" not in Compact(Colors(False)).lines({"process_exec": {"process": few}})
    assert line({}, "process_exec", color=True).endswith(" \x1b[35m\x1b[0m\n")


def test_times() -> None:
    """All nine digits; an event without a time has that of protobuf's zero."""
    compact = Compact(Colors(False), timestamps=True)
    body = {"process_exec": {"process": PROCESS}}
    for time, text in (
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000000Z"),
        ("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678000000Z"),
    ):
        assert compact.lines({**body, "time": time}).startswith(f"{text} 🚀")
    assert compact.lines(body).startswith("1970-01-01T00:00:00.000000000Z ")


def test_raw_system_calls() -> None:
    """Names, types and values; what is not known says so."""
    size = {"size_arg": "4096"}
    assert entered([{"long_arg": "0"}, size, size], "x86_64") == (
        "read(unsigned int fd=4096, char *buf=0x1000, size_t count=?)"
    )
    assert entered([{"syscall_id": {"id": 1, "abi": "x64"}}], "x86_64").startswith("write(")
    assert entered([{"syscall_id": {"id": 1, "abi": "i386"}}], "x86_64") == "i386/exit"
    assert entered([{"long_arg": "39"}], "x86_64") == "getpid"
    assert entered([{"long_arg": "63"}], "aarch64").startswith("read(")
    for args in ([], [{"int_arg": 0}], [{"long_arg": "99999"}], [{"syscall_id": {"abi": "vax"}}]):
        assert entered(args, "x86_64") == "unknown"
    assert entered([{"long_arg": "0"}], "riscv64") == "unknown"


def test_when_colours_are_wanted() -> None:
    """`auto` asks the terminal and two variables, the other words nobody."""
    assert wanted("auto", {}, terminal=True)
    assert not wanted("auto", {}, terminal=False)
    assert not wanted("auto", {"NO_COLOR": "1"}, terminal=True)
    assert wanted("auto", {"NO_COLOR": ""}, terminal=True)
    assert not wanted("auto", {"TERM": "dumb"}, terminal=True)
    assert wanted("always", {"NO_COLOR": "1"}, terminal=False)
    assert not wanted("never", {}, terminal=True)


def _blocks(path: Path) -> list[str]:
    return re.split(r"^@@\d+\n", path.read_text(), flags=re.MULTILINE)[1:]


def test_recorded_outputs() -> None:
    """What the real client wrote, with and without colours, byte for byte."""
    found = [Path(place, f"{VECTORS}.in.jsonl") for place in PLACES if place]
    source = next((one for one in found if one.exists()), None)
    if source is None:
        pytest.skip("the recording of Tetragon is not here")
    events = [event_of(one) for one in source.read_bytes().splitlines()]
    for name, compact in (
        ("out", Compact(Colors(False))),
        ("color", Compact(Colors(True), timestamps=True)),
    ):
        expected = _blocks(source.with_name(f"compact-vectors.{name}.txt"))
        assert len(expected) == len(events)
        for event, text in zip(events, expected, strict=True):
            # Where a line feed is within a colour, the recording has one more behind it.
            end = "\n" if text.endswith(("\x1b[0m\n\n", "\n\x1b[0m\n")) else ""
            assert compact.lines(event) + end == text


def test_made_up_events() -> None:
    """What the real client wrote for events made up at random: each function that has a form, each
    kind of event, with arguments of other types and of none, in names that need quotes.
    """
    for line_ in STOCK.read_text().splitlines():
        made = json.loads(line_)
        event = event_of(dumps(made["event"]))
        for field, compact in (
            ("plain", Compact(Colors(False))),
            ("color", Compact(Colors(True), timestamps=True)),
        ):
            same = compact.lines(event) == made[field]
            assert same or _is_odd(event), made["event"]


# Members that the real client writes as they are, and tetrapy so that they are seen.
_AS_THEY_ARE = {"namespace", "name", "function_name", "subsys", "event", "signal", "saddr", "daddr"}
_AS_THEY_ARE |= {"ProgType", "ProgName", "Type", "KprobeFunc", "MapType", "MapName", "ima_hash"}


def _is_odd(value: Any, name: str = "") -> bool:
    """Whether one of these members has a text that is not seen as what it is."""
    if isinstance(value, dict):
        return any(_is_odd(inner, key) for key, inner in value.items())
    if isinstance(value, list):
        return any(map(_is_odd, value))
    return name in _AS_THEY_ARE and isinstance(value, str) and value != printable(value)
