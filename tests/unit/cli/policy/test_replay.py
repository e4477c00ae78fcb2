# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy test`: recorded events through the selectors of a policy."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.policies import HEAD, kprobe
from tetrapy.cli.main import main
from tetrapy.cli.policy.replay import LIMITED, QUIET, REPORTED, UNDECIDED, Replay
from tetrapy.policy.functions import numbers
from tetrapy.policy.read import read_policy
from tetrapy.policy.workloads import of_policy

MACHINE = os.uname().machine


def event(*args: Any, kind: str = "process_kprobe", at: int = 0, **body: Any) -> dict[str, Any]:
    """An event of the function `f`, unless the body says otherwise."""
    process = {"pid": 7, "tid": 8, "binary": "/bin/cat", **body.pop("process", {})}
    parent = {"pid": 6, "binary": "/bin/sh"}
    if kind == "process_kprobe":
        body.setdefault("function_name", "f")
    whole = {"process": process, "parent": parent, "args": list(args), **body}
    return {kind: whole, "time": f"2026-11-29T07:00:{at:02}.5Z"}


def outcome(text: str, *events: dict[str, Any]) -> Any:
    """Of the last event."""
    replay = Replay(read_policy(text).policy)
    reports = [replay.report(one) for one in events]
    return reports[-1] and reports[-1]["outcome"]


def filtered(kind: str, operator: str, *values: str) -> str:
    """A policy with a filter on the one argument of `f`."""
    shown = json.dumps(list(values))
    filter_ = f"{{index: 0, operator: {operator}, values: {shown}}}"
    return kprobe(f", selectors: [{{matchArgs: [{filter_}]}}]", kind=kind)


FILE = {"file_arg": {"path": "/etc/shadow", "permission": "-rw-r-----"}}
SOCK = {"sock_arg": {"family": "AF_INET", "protocol": "IPPROTO_TCP", "daddr": "10.0.0.7",
                     "dport": 443, "state": "TCP_SYN_SENT"}}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "argument", "holding", "failing"),
    [
        ("int", {"int_arg": -4}, ("LT", "0"), ("GT", "0")),
        ("uint64", {"size_arg": "9"}, ("InRange", "5:9"), ("Equal", "8")),
        ("string", {"string_arg": "/tmp/a"}, ("Prefix", "/tmp"), ("Postfix", "b")),
        ("string", {"error_arg": {"Message": "Bad address"}}, ("Equal", ""), ("Prefix", "/")),
        ("char_buf", {"bytes_arg": "R09MRA=="}, ("Prefix", "GO"), ("Prefix", "go")),
        ("file", FILE, ("Equal", "/etc/shadow"), ("Prefix", "/usr")),
        ("file", FILE, ("FileType", "reg"), ("FileType", "dir")),
        (
            "path",
            {"path_arg": {"path": "c", "flags": "unresolvedPathComponents"}},
            ("Equal", "/a/b/c"),
            None,
        ),
        ("linux_binprm", {"linux_binprm_arg": {"path": "/bin/a"}}, ("Postfix", "a"), None),
        ("sock", SOCK, ("DAddr", "10.0.0.0/8"), ("DAddr", "11.0.0.0/8")),
        ("sock", SOCK, ("DPort", "443"), ("DPort", "80")),
        ("sock", SOCK, ("State", "TCP_SYN_SENT"), ("Family", "AF_INET6")),
        ("sockaddr_un", {"sockaddrun_arg": {"path": "/run/a"}}, ("Prefix", "/run"), None),
        ("kernel_cap_t", {"kernel_cap_t_arg": "0000000000200000"}, ("Mask", "CAP_SYS_ADMIN"),
         ("Mask", "CAP_CHOWN")),
    ],
)  # fmt: skip
def test_values(
    kind: str, argument: dict[str, Any], holding: tuple[str, ...], failing: tuple[str, ...] | None
) -> None:
    """Each is understood as it is exported."""
    assert outcome(filtered(kind, *holding), event(argument)) == REPORTED
    if failing:
        assert outcome(filtered(kind, *failing), event(argument)) == QUIET


NUMBER = {"int_arg": 1}
NOT_CAT = "matchBinaries: [{operator: NotIn, values: [/bin/cat]}]"
HOST = {name: {"inum": 4026531840, "is_host": True} for name in ("mnt", "user")}


@pytest.mark.parametrize(
    ("selector", "process", "expected"),
    [
        ("matchBinaries: [{operator: In, values: [/bin/cat]}]", {}, REPORTED),
        (NOT_CAT, {"ns": HOST}, QUIET),
        (NOT_CAT, {"ns": {**HOST, "mnt": {"inum": 5}}}, REPORTED),
        (NOT_CAT, {"ns": {**HOST, "user": {"inum": 5}}}, REPORTED),
        (NOT_CAT, {"docker": "0123456789abcdef"}, REPORTED),
        (NOT_CAT, {}, UNDECIDED),
        (NOT_CAT, {"binary": "/bin/ls"}, REPORTED),
        (NOT_CAT.replace("/bin/cat", "/bin/sh, /bin/cat"), {"ns": HOST}, QUIET),
        ("matchBinaries: [{operator: In, values: [/bin/sh], followChildren: true}]", {}, REPORTED),
        ("matchParentBinaries: [{operator: In, values: [/bin/sh]}]", {}, REPORTED),
        ("matchPIDs: [{operator: In, values: [7]}]", {}, REPORTED),
        ("matchPIDs: [{operator: In, values: [6]}]", {}, QUIET),
        ("matchPIDs: [{operator: In, values: [6], followForks: true}]", {}, REPORTED),
        (
            "matchCapabilities: [{type: Effective, operator: In, values: [CAP_BPF]}]",
            {"cap": {"effective": ["CAP_BPF"]}},
            REPORTED,
        ),
        ("matchCapabilities: [{type: Effective, operator: In, values: [CAP_BPF]}]", {}, UNDECIDED),
        (
            "matchNamespaces: [{namespace: Mnt, operator: NotIn, values: [host_ns]}]",
            {"ns": {"mnt": {"inum": 5}}},
            REPORTED,
        ),
        (
            "matchNamespaces: [{namespace: Mnt, operator: NotIn, values: [host_ns]}]",
            {"ns": {"mnt": {"inum": 5, "is_host": True}}},
            QUIET,
        ),
        ("matchNamespaces: [{namespace: Mnt, operator: In, values: ['5']}]", {}, UNDECIDED),
        ("matchNamespaceChanges: [{operator: In, values: [Mnt]}]", {}, UNDECIDED),
        ("matchActions: [{action: NoPost}]", {}, QUIET),
    ],
)
def test_processes(selector: str, process: dict[str, Any], expected: str) -> None:
    """What an event does not say leaves it undecided, where it matters."""
    text = kprobe(f", selectors: [{{{selector}}}]")
    assert outcome(text, event(NUMBER, process=process)) == expected


@pytest.mark.parametrize(
    "more",
    [
        "\n  options: [{name: written-path, value: 'true'}]\n",
        "\n  containerSelector: {matchLabels: {name: web}}\n",
    ],
)
def test_programs_that_are_left_out_by_their_paths(more: str) -> None:
    """Where the policy says so, or is for containers alone, whosever files those are."""
    text = kprobe(f", selectors: [{{{NOT_CAT}}}]") + more
    assert outcome(text, event(NUMBER)) == QUIET
    assert outcome(text, event(NUMBER, process={"docker": "0123456789abcdef"})) == QUIET


def test_what_is_not_asked_for_is_not_missed() -> None:
    """A filter that fails before it decides alone."""
    capability = "matchCapabilities: [{type: Effective, operator: In, values: [CAP_BPF]}]"
    number = "matchArgs: [{index: 0, operator: Equal, values: ['2']}]"
    text = kprobe(f", selectors: [{{{number}, {capability}}}]")
    assert outcome(text, event(NUMBER)) == QUIET


def test_selectors_in_order() -> None:
    """The first that matches says what is done; a macro is part of it."""
    quiet = "{label: cats, macros: [cat], matchActions: [{action: NoPost}]}"
    text = kprobe(f", selectors: [{quiet}, {{matchActions: [{{action: Sigkill}}]}}]")
    text += "\n  selectorsMacros: {cat: {matchBinaries: [{operator: In, values: [/bin/cat]}]}}\n"
    replay = Replay(read_policy(text).policy)
    cat = replay.report(event(NUMBER))
    other = replay.report(event(NUMBER, process={"binary": "/bin/ls"}))
    assert cat
    assert other
    assert (cat["outcome"], cat["selector"], cat["label"]) == (QUIET, 0, "cats")
    assert (other["outcome"], other["selector"], other["actions"]) == (REPORTED, 1, ["Sigkill"])


@pytest.mark.parametrize(
    ("scope", "tid", "at", "expected"),
    [("", 8, 4, LIMITED), ("", 9, 4, REPORTED), ("process", 9, 4, LIMITED), ("", 8, 6, REPORTED)],
)
def test_rate_limits(scope: str, tid: int, at: int, expected: str) -> None:
    """By the times of the events."""
    more = f", rateLimitScope: {scope}" if scope else ""
    text = kprobe(f", selectors: [{{matchActions: [{{action: Post, rateLimit: 5s{more}}}]}}]")
    second = event(NUMBER, at=at, process={"tid": tid})
    assert outcome(text, event(NUMBER), second) == expected
    assert outcome(text, event({"int_arg": 2}), second) == REPORTED


def test_other_hooks() -> None:
    """Tracepoints with lists of system calls, programs, returned values, data."""
    text = (
        HEAD
        + """\
  lists: [{name: two, type: syscalls, values: [sys_read, sys_write]}]
  tracepoints:
  - subsystem: raw_syscalls
    event: sys_enter
    args: [{index: 4, type: syscall64}]
    selectors: [{matchArgs: [{index: 4, operator: InMap, values: ["list:two"]}]}]
"""
    )
    abi = {"x86_64": "x64", "aarch64": "arm64"}[MACHINE]
    for name, expected in (("write", REPORTED), ("close", QUIET)):
        hit = {"syscall_id": {"id": numbers(abi)[name], "abi": abi}}
        body = {"subsys": "raw_syscalls", "event": "sys_enter"}
        assert outcome(text, event(hit, kind="process_tracepoint", **body)) == expected
    assert outcome(text, event(kind="process_tracepoint", subsys="a", event="b")) is None
    text = (
        HEAD
        + """\
  uprobes:
  - {path: /bin/a, symbols: [b], args: [{index: 0, type: int}],
     data: [{index: 0, type: int, source: pt_regs, resolve: rdi}],
     selectors: [{matchData: [{index: 0, operator: Equal, values: ["3"]}]}]}
"""
    )
    body = {"path": "/bin/a", "symbol": "b"}
    for number, expected in ((3, REPORTED), (4, QUIET)):
        hit = event(NUMBER, kind="process_uprobe", data=[{"int_arg": number}], **body)
        assert outcome(text, hit) == expected
    returning = ", return: true, returnArg: {index: 0, type: int}, selectors: [{matchReturnArgs:"
    text = kprobe(f"{returning} [{{index: 0, operator: LT, values: ['0']}}]}}]")
    for number, expected in ((-1, REPORTED), (1, QUIET)):
        assert outcome(text, event(NUMBER, **{"return": {"int_arg": number}})) == expected


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each event of what the policy hooks, and how many there are."""
    (tmp_path / "p.yaml").write_text(filtered("int", "Equal", "1"))
    lines = [event(NUMBER), event({"int_arg": 2}), {"process_exec": {}}]
    (tmp_path / "e.json").write_text("\n".join(map(json.dumps, lines)) + "\n")
    words = ["policy", "test", str(tmp_path / "p.yaml"), "--replay", str(tmp_path / "e.json")]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1: f by 7 /bin/cat: reported: selector 0 -> Post",
        "2: f by 7 /bin/cat: not reported: no selector matches",
        "2 events of what the policy hooks: 1 reported, 1 not reported; 1 others",
    ]
    assert main([*words, "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["outcome"] for one in document["events"]] == [REPORTED, QUIET]
    (tmp_path / "e.json").write_text(json.dumps(event()) + "\n")
    assert main(words) == 1
    assert "the event has 0 arguments, and the policy 1" in capsys.readouterr().out
    odd = event(NUMBER)["process_kprobe"]
    for body, why in (
        (7, "a message is an object"),
        ({**odd, "args": 7}, "a list is expected"),
        ({**odd, "args": [7]}, "a message is an object"),
        ({**odd, "args": [{"int_arg": "x"}]}, "a number is expected"),
        ({**odd, "process": []}, "a message is an object"),
        ({**odd, "process": {"pid": -1}}, "a number is out of range"),
    ):
        (tmp_path / "e.json").write_text(json.dumps({"process_kprobe": body}) + "\n")
        assert main(words) == 2
        assert f"e.json:1: no event as agents export them: {why}\n" in capsys.readouterr().err
    (tmp_path / "e.json").write_bytes(b"{}\n\xff\n")
    assert main(words) == 2
    assert "e.json:2: no event as agents export them: the byte 0xff is" in capsys.readouterr().err
    (tmp_path / "e.json").write_text("no event\n")
    assert main(words) == 2
    for nothing in ("", '{"process_exec": {}}\n'):
        (tmp_path / "e.json").write_text(nothing)
        assert main(words) == 1
        assert "e.json: nothing was tested: no event is of what" in capsys.readouterr().err
    assert main(words[:3]) == 2
    assert "--replay is missing" in capsys.readouterr().err


def test_a_recording_is_made_by_a_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has the same hooks and values, and neither selectors nor anything that acts."""
    text = (
        HEAD
        + """\
  options: [{name: policy-mode, value: enforce}]
  enforcers: [{calls: [sys_write]}]
  selectorsMacros: {m: {matchPIDs: [{operator: In, values: [1]}]}}
  podSelector: {matchLabels: {a: b}}
  containerSelector: {}
  hostSelector: {}
  kprobes:
  - call: sys_write
    syscall: true
    message: "1:30"
    args: &args [{index: 0, type: int}]
    selectors: [{macros: [m], matchActions: [{action: NotifyEnforcer, argError: -1}]}]
  - {call: sys_read, syscall: true, args: *args}
"""
    )
    (tmp_path / "p.yaml").write_text(text)
    assert main(["policy", "record", str(tmp_path / "p.yaml")]) == 0
    whole, copy = read_policy(text).policy, read_policy(capsys.readouterr().out).policy
    assert copy.metadata.name == f"{whole.metadata.name}-recording"
    assert [hook.replaced(selectors=()) for hook in whole.spec.kprobes] == [*copy.spec.kprobes]
    bare = (copy.spec.options, copy.spec.enforcers, copy.spec.selectors_macros)
    assert bare == ((), (), {})
    assert of_policy(copy) is None
