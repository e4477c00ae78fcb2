# SPDX-License-Identifier: Apache-2.0
"""Processes with every field set, for tests of how they are shown, and messages by the schema."""

from __future__ import annotations

import importlib
import json
from operator import attrgetter
from typing import Any

from hypothesis import strategies as st

from tests.support.records import EPOCH, NODE
from tetrapy.events import arguments as args
from tetrapy.events import flags
from tetrapy.events.calls import CallEvent, Probe, ProcessKprobe
from tetrapy.events.credentials import (
    PRIVILEGES_CHANGED,
    BinaryProperties,
    Capabilities,
    Credentials,
)
from tetrapy.events.executed import ExecutedFile
from tetrapy.events.namespaces import Namespace, Namespaces
from tetrapy.events.process import DetailedProcess, ExecutedProcess, Process, UnknownProcess
from tetrapy.events.schema import CONVERSIONS, ENUMS, FIELDS, PROCESS
from tetrapy.events.schema.field import ALWAYS, BEGUN, EXEC, KNOWN, ONE, SELF, Field
from tetrapy.visible import json_bytes

# All of Unicode that is text, with what encoders treat in their own way drawn often.
texts = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from(
        '"\\/\0\x01\x08\t\n\x0b\x0c\r\x1f\x7f\x80\x9f\u2028\u2029\ufeff\ufffd\U0001f600'
    ),
    max_size=20,
)
numbers = st.integers(0, 2**64 - 1)
ids = st.integers(0, 2**32 - 1)


def plain(value: Any) -> bytes:
    """The standard library's encoder, writing what protojson does but for what is not seen."""
    return json_bytes(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def process(kind: type[Process] = Process, /, **fields: Any) -> Process:
    """A process with every field set, but for those given."""
    made = kind(NODE.encode(), 42, 5, 10_000_000_000)
    values = {
        "uid": 0,
        "auid": 1000,
        "cwd": "/root",
        "binary": "/usr/bin/id",
        "arguments": "-u",
        "flags": flags.EXECVE | flags.CLONE,
        "start_time": EPOCH + 123456789,
        "docker": "0123456789abcdef0123456789abcde",
        "parent_exec_id": "cGFyZW50",
        "refcnt": 1,
        "in_init_tree": True,
    }
    for name, value in {**values, **fields}.items():
        setattr(made, name, value)
    return made


def detailed(**fields: Any) -> Process:
    """A process with all that settings can ask for."""
    host = Namespaces(*range(1, 11))
    details = {
        "user": "ann",
        "capabilities": Capabilities(3, 1, 0),
        "credentials": Credentials(1, 2, 3, 4, 5, 6, 7, 8, 0),
        "namespaces": host._replace(net=99).shown(host),
        "environment": (("PATH", "/bin"), ("EMPTY", ""), ("invalid", "x")),
        "binary_properties": BinaryProperties(setuid=0),
    }
    return process(DetailedProcess, **{**details, **fields})


@st.composite
def any_process(draw: st.DrawFn) -> Process:
    """Whatever the kernel and procfs may tell."""
    kind = draw(st.sampled_from([Process, DetailedProcess, ExecutedProcess, UnknownProcess]))
    made = process(
        kind,
        pid=draw(ids),
        uid=draw(ids),
        auid=draw(ids),
        node=draw(st.binary(max_size=9)),
        ktime=draw(numbers),
        flags=draw(st.integers(0, 2**27)),
        refcnt=draw(st.integers(0, 2)),
        in_init_tree=draw(st.booleans()),
        **{name: draw(texts) for name in ("cwd", "binary", "arguments", "docker")},
    )
    if isinstance(made, DetailedProcess):
        made.user = draw(texts)
        made.environment = tuple(draw(st.lists(st.tuples(texts, texts), max_size=3)))
        made.credentials = draw(st.none() | st.builds(Credentials, *[ids] * 9))
        made.capabilities = draw(st.none() | st.builds(Capabilities, *[numbers] * 3))
        places = st.builds(Namespaces, *[st.integers(0, 3)] * 10)
        made.namespaces = draw(st.none() | st.builds(Namespaces.shown, places, places))
        made.binary_properties = draw(st.none() | st.builds(BinaryProperties, *some_properties()))
    made.executed = draw(st.none() | some_file())
    return made


signed32 = st.integers(-(2**31), 2**31 - 1)
words = st.sampled_from(["AF_INET", "TCP_LISTEN", "", "7"])  # of fields that are plain
permissions = st.sampled_from(["-rw-r--r--", "---------", "drwxrwxrwt"])
hexadecimal = numbers.map(lambda number: f"{number:016x}")
user_namespaces = st.builds(
    args.UserNamespace, signed32, ids, ids, st.builds(Namespace, ids, st.booleans())
)
files = st.builds(args.File, texts, st.sampled_from(["", args.UNRESOLVED]), permissions)
sets = st.builds(Capabilities, *[st.integers(0, 2**41 - 1)] * 3)

# Member of KprobeArgument -> its values.
ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "string_arg": texts,
    "int_arg": signed32,
    "skb_arg": st.builds(
        args.Skb, *[ids] * 4, words, words, *[ids] * 5, st.just("IPPROTO_TCP"), words
    ),
    "size_arg": numbers,
    "bytes_arg": st.binary(max_size=20),
    "path_arg": files,
    "file_arg": files,
    "truncated_bytes_arg": st.builds(args.TruncatedBytes, st.binary(max_size=20), numbers),
    "sock_arg": st.builds(
        args.Sock, words, words, words, ids, ids, words, words, ids, ids, numbers, words
    ),
    "long_arg": st.integers(-(2**63), 2**63 - 1),
    "bpf_attr_arg": st.builds(args.Program, words, ids, texts),
    "perf_event_arg": st.builds(args.PerfEvent, texts, words, numbers, numbers),
    "bpf_map_arg": st.builds(args.BpfMap, words, ids, ids, ids, texts),
    "uint_arg": ids,
    "capability_arg": st.builds(args.Capability, signed32, words),
    "process_credentials_arg": st.builds(
        args.CallerCredentials, *[ids] * 8, st.integers(0, 255), sets, user_namespaces
    ),
    "user_ns_arg": user_namespaces,
    "module_arg": st.builds(
        args.Module,
        texts,
        st.none() | st.booleans(),
        st.lists(st.sampled_from(list(ENUMS["TaintedBitsType"])), unique=True).map(tuple),
    ),
    **dict.fromkeys(
        (f"{name}_arg" for name in ("kernel_cap_t", "cap_inheritable", "cap_permitted")),
        hexadecimal,
    ),
    "cap_effective_arg": hexadecimal,
    "linux_binprm_arg": files,
    "bpf_cmd_arg": st.sampled_from(list(ENUMS["BpfCmd"])),
    "syscall_id": st.builds(args.Syscall, ids, st.sampled_from(["x64", "i386"])),
    "sockaddr_arg": st.builds(args.Sockaddr, words, words, ids),
    "bpf_prog_arg": st.builds(args.Program, words, ids, texts),
    "error_arg": texts,
    "sockaddrun_arg": st.builds(args.SockaddrUn, words, texts),
}


@st.composite
def any_argument(draw: st.DrawFn) -> args.Argument:
    """An argument of any type."""
    member = draw(st.sampled_from(list(ARGUMENTS)))
    return args.Argument(member, draw(ARGUMENTS[member]), draw(texts))


probes = st.builds(
    Probe,
    texts,
    texts,
    texts,
    st.lists(texts, max_size=2).map(tuple),
    *[texts] * 5,
    numbers,
    numbers,
)


@st.composite
def any_call(draw: st.DrawFn, kind: type[CallEvent] = ProcessKprobe) -> CallEvent:
    """An event of a policy."""
    several = st.lists(any_argument(), max_size=3).map(tuple)
    entries = st.lists(st.builds(args.StackEntry, numbers, numbers, texts, texts), max_size=2)
    actions = st.sampled_from(list(ENUMS["KprobeAction"]))
    return kind(
        draw(probes),
        draw(any_process()),
        draw(ids),
        draw(st.none() | any_process()),
        EPOCH,
        draw(actions),
        draw(several),
        draw(several),
        draw(st.none() | any_argument()),
        draw(actions),
        tuple(draw(st.lists(any_process(), max_size=2))),
        tuple(draw(entries)),
        tuple(draw(entries)),
    )


def some_file() -> st.SearchStrategy[ExecutedFile]:
    """A file that was executed, whatever is known of it."""
    return st.builds(ExecutedFile, texts, numbers, ids, ids, *[st.booleans()] * 5)


def some_properties() -> list[st.SearchStrategy[Any]]:
    """What may be odd about a binary."""
    reasons = st.lists(st.sampled_from(PRIVILEGES_CHANGED), unique=True).map(tuple)
    return [st.none() | ids, st.none() | ids, reasons, st.none() | some_file()]


def message(name: str, of: Any) -> dict[str, Any]:
    """The message of an object as a plain value, row by row of the schema."""
    out: dict[str, Any] = {}
    for row in FIELDS[name].values():
        if not row.is_filled or (name == PROCESS and not is_shown(row, of)):
            continue
        if row.presence == ONE:
            if row.name == of.member:
                out[row.name] = content_of(row, value_of(row, of))
            continue
        if row.through == "caller_json":
            out[row.name] = caller(of.process, of.tid)
            continue
        value = value_of(row, of)
        is_sure = row.presence in {ALWAYS, BEGUN, KNOWN}
        if is_sure or (value is not None if row.type.endswith("Value") else value):
            out[row.name] = content_of(row, value)
    return out


def caller(of: Process, tid: int) -> dict[str, Any]:
    """A process as the events of its calls show it."""
    copy = of.copy()
    copy.refcnt = copy.refcnt or 1
    shown = message(PROCESS, copy)
    return {**shown, "tid": tid} if "tid" in shown else shown


def is_shown(row: Field, of: Process) -> bool:
    """Whether the kind of process shows the field at all."""
    if isinstance(of, UnknownProcess):
        return row.presence in {ALWAYS, BEGUN}
    if isinstance(of, ExecutedProcess):
        return True
    return row.presence != EXEC and (isinstance(of, DetailedProcess) or not row.setting)


def value_of(row: Field, of: Any) -> Any:
    """The value of a field, by its source."""
    if row.source == SELF:
        value = of
    elif row.source.startswith("["):
        value = of[int(row.source[1:-1])]
    else:
        value = attrgetter(row.source)(of)
    if row.through:
        value = getattr(importlib.import_module(CONVERSIONS[row.through]), row.through)(value)
    return value


def content_of(row: Field, value: Any) -> Any:
    """The same as protojson has it."""
    if row.is_repeated:
        inner = row._replace(type=row.element)
        return [content_of(inner, one) for one in value]
    if row.type in FIELDS:
        return message(row.type, value)
    return str(value) if row.type in {"int64", "uint64"} else value


def fields(of: Process) -> dict[str, Any]:
    """The message of a process, out of its JSON."""
    read: dict[str, Any] = json.loads(of.encoded())
    return read
