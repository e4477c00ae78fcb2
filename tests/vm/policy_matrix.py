# SPDX-License-Identifier: Apache-2.0
"""Policies with all kinds of hooks, types and operators, and what kernels made of them.

`python3 -m tests.vm.policy_matrix` puts what the last run of test_policy_matrix.py found into
docs/policy-matrix.json; `python3 -m tools.policy_docs` makes the table of docs/policies.md of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.vm.matrix_actions import ACTIONS, PROBES, PROGRAM
from tools.guest import kernels
from tools.guest.built_kernel import overriding
from tools.guest.kernels import Kernel

ROOT = Path(__file__).resolve().parents[2]
LEFT = ROOT / "build/policy-matrix"
DATA = ROOT / "docs/policy-matrix.json"
BUILT = "6.1-override"
KERNELS = ("5.10", "6.1", "6.12", "7", BUILT, "6.1-nobtf", "6.1-arm64")
"""Columns of the table: guests by name."""

_Spec = dict[str, Any]


def _kprobe(call: str = "security_file_permission", **more: Any) -> _Spec:
    return {"kprobes": [{"call": call, "syscall": False, **more}]}


def _uprobe(**more: Any) -> _Spec:
    return {"uprobes": [{"path": PROGRAM, "symbols": ["called"], **more}]}


def _types(*kinds: str, **more: Any) -> _Spec:
    """A kprobe whose arguments are taken for these types."""
    return _kprobe(args=[{"index": at, "type": kind, **more} for at, kind in enumerate(kinds)])


def _filters(kind: str, *filters: tuple[str, ...], **more: Any) -> _Spec:
    """A kprobe with a selector for every five filters: operators and their values."""
    made = [{"index": 0, "operator": one[0], "values": list(one[1:])} for one in filters]
    return _kprobe(
        args=[{"index": 0, "type": kind, **more}],
        selectors=[{"matchArgs": made[at : at + 5]} for at in range(0, len(made), 5)],
    )


def _selector(**selector: Any) -> _Spec:
    return _kprobe(selectors=[selector])


_FIRST_REGISTER = {"amd64": '"resolve": "rdi"', "arm64": '"resolve": "x0"'}
_TEXT = "Equal NotEqual Prefix NotPrefix Postfix NotPostfix".split()
_RETURNS = {"return": True, "returnArg": {"index": 0, "type": "int"}}

CASES: dict[str, dict[str, _Spec]] = {
    "Hooks": {
        "`tracepoints`": {"tracepoints": [{"subsystem": "raw_syscalls", "event": "sys_exit"}]},
        "`tracepoints` with `raw: true`": {
            "tracepoints": [{"subsystem": "sched", "event": "sched_process_exit", "raw": True}]
        },
        "`kprobes`": _kprobe(),
        "`kprobes` with `return`": _kprobe(**_RETURNS),
        "`kprobes` of system calls": {"kprobes": [{"call": "sys_getpgid", "syscall": True}]},
        "`uprobes`": _uprobe(),
        "`uprobes` with `return`": _uprobe(**_RETURNS),
        "`usdts`": {"usdts": [{"path": PROBES, "provider": "tests", "name": "hit"}]},
        "`fentries`": {"fentries": [{"call": "security_file_permission", "syscall": False}]},
        "`fentries` with `return`": {
            "fentries": [{"call": "security_file_permission", "syscall": False, **_RETURNS}]
        },
        "`lsmhooks`": {"lsmhooks": [{"hook": "file_permission"}]},
        "`loader`": {"loader": True},
    },
    "Types": {
        "numbers": _types("int", "uint8", "int16", "uint64", "size_t"),
        "`string`, `fd`, `filename`, `net_device`": _types(
            "string", "fd", "filename", "net_device"
        ),
        "`char_buf`, `const_buf`, `char_iovec`": _types(
            "char_buf", "const_buf", "char_iovec", sizeArgIndex=2
        ),
        "`char_buf` with `maxData`": _types("char_buf", sizeArgIndex=2, maxData=True),
        "`iov_iter`, `kiocb`": _types("iov_iter", "kiocb"),
        "`file`, `path`, `dentry`, `linux_binprm`": _types(
            "file", "path", "dentry", "linux_binprm"
        ),
        "`sock`, `sockaddr`": _types("sock", "sockaddr"),
        "`socket`, `sockaddr_un`": _types("socket", "sockaddr_un"),
        "`skb`": _types("skb"),
        "`cred`, `user_namespace`, `capability`": _types("cred", "user_namespace", "capability"),
        "`bpf_attr`, `bpf_prog`, `bpf_map`, `bpf_cmd`": _types(
            "bpf_attr", "bpf_prog", "bpf_map", "bpf_cmd"
        ),
        "`perf_event`": _types("perf_event"),
        "`module`, `load_info`": _types("module", "load_info"),
        "sets of capabilities": _types(
            "kernel_cap_t", "cap_effective", "cap_inheritable", "cap_permitted"
        ),
        "`data_loc`, `auto`, `syscall64`": {
            "tracepoints": [
                {
                    "subsystem": "sched",
                    "event": "sched_process_exec",
                    "args": [{"index": 4, "type": "data_loc"}, {"index": 5, "type": "auto"}],
                },
                {
                    "subsystem": "raw_syscalls",
                    "event": "sys_enter",
                    "args": [{"index": 4, "type": "syscall64"}, {"index": 5, "type": "auto"}],
                    "selectors": [
                        {"matchArgs": [{"index": 4, "operator": "Equal", "values": ["-2"]}]}
                    ],
                },
            ]
        },
        "any with `resolve`; `data` of `current_task` and `pt_regs`": _kprobe(
            args=[{"index": 0, "type": "uint64", "resolve": "f_inode.i_ino"}],
            data=[
                {"index": 0, "type": "int", "source": "current_task", "resolve": "tgid"},
                {"index": 0, "type": "uint64", "source": "pt_regs", "resolve": "rdi"},
            ],
        ),
    },
    "Selectors": {
        "numbers: Equal, NotEqual, GT, LT, Mask, InMap, NotInMap, InRange, NotInRange": _filters(
            "int",
            *[(name, "3") for name in ("Equal", "NotEqual", "GT", "LT", "Mask")],
            *[(name, "3", "5:9") for name in ("InMap", "NotInMap")],
            *[(name, "3:5") for name in ("InRange", "NotInRange")],
        ),
        "texts: Equal, Prefix, Postfix and their opposites": _filters(
            "string", *[(name, "abc") for name in _TEXT]
        ),
        "texts: Equal of more than 255 bytes, SubString, SubStringIgnCase": _filters(
            "string", ("Equal", "x" * 300), ("SubString", "abc"), ("SubStringIgnCase", "abc")
        ),
        "paths: Equal, Prefix, Postfix and their opposites": _filters(
            "file", *[(name, "/abc") for name in _TEXT]
        ),
        "paths: SubString, FileType, NotFileType": _filters(
            "file", ("SubString", "abc"), ("FileType", "reg"), ("NotFileType", "dir")
        ),
        "sockets: addresses, ports, protocol, family, state": _filters(
            "sock",
            ("SAddr", "10.0.0.0/8"),
            ("NotDAddr", "::1"),
            ("SPort", "1"),
            ("NotDPort", "2:9"),
            ("SPortPriv",),
            ("Protocol", "IPPROTO_TCP"),
            ("Family", "AF_INET"),
            ("State", "TCP_LISTEN"),
        ),
        "CapabilitiesGained": _kprobe(
            args=[{"index": at, "type": "cap_effective"} for at in range(2)],
            selectors=[{"matchArgs": [{"args": [0, 1], "operator": "CapabilitiesGained"}]}],
        ),
        "CelExpr": _filters("int", ("CelExpr", "arg0 + int32(1) > int32(7)")),
        "`matchReturnArgs` of numbers": _kprobe(
            **_RETURNS,
            selectors=[{"matchReturnArgs": [{"operator": "Equal", "values": ["0"]}]}],
        ),
        "`matchReturnArgs` of paths": _kprobe(
            "dentry_open",
            **{"return": True, "returnArg": {"index": 0, "type": "file"}},
            selectors=[{"matchReturnArgs": [{"operator": "Prefix", "values": ["/abc"]}]}],
        ),
        "`matchBinaries`": _selector(matchBinaries=[{"operator": "In", "values": ["/a"]}]),
        "… `followChildren`; `matchParentBinaries`": _selector(
            matchBinaries=[{"operator": "In", "values": ["/a"], "followChildren": True}],
            matchParentBinaries=[{"operator": "Prefix", "values": ["/a"]}],
        ),
        "`matchPIDs`, also with `followForks`": _selector(
            matchPIDs=[
                {"operator": "NotIn", "values": [1]},
                {"operator": "In", "values": [7], "followForks": True},
            ]
        ),
        "`matchNamespaces`, `matchCapabilities`": _selector(
            matchNamespaces=[{"namespace": "Pid", "operator": "In", "values": ["host_ns"]}],
            matchCapabilities=[{"operator": "In", "values": ["CAP_SYS_ADMIN"]}],
        ),
        "`matchNamespaceChanges`, `matchCapabilityChanges`": _selector(
            matchNamespaceChanges=[{"operator": "In", "values": ["Pid"]}],
            matchCapabilityChanges=[{"operator": "In", "values": ["CAP_SYS_ADMIN"]}],
        ),
    },
    "Actions": ACTIONS,
}
"""Heading -> row of the table -> what a policy asks for."""


def kernel(column: str) -> Kernel:
    """What a column's guest boots."""
    return overriding() if column == BUILT else kernels.get(column)


def names() -> list[tuple[str, str, str]]:
    """A policy's name, heading and row of each case."""
    rows = [(heading, row) for heading, cases in CASES.items() for row in cases]
    return [(f"case-{at:02}", heading, row) for at, (heading, row) in enumerate(rows)]


def documents(arch: str) -> dict[str, str]:
    """A policy's name -> its text, for a machine of Debian's architecture."""
    return {
        name: json.dumps(
            {
                "apiVersion": "cilium.io/v1alpha1",
                "kind": "TracingPolicy",
                "metadata": {"name": name},
                "spec": CASES[heading][row],
            }
        ).replace(_FIRST_REGISTER["amd64"], _FIRST_REGISTER[arch])
        for name, heading, row in names()
    }


def found(listed: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Heading -> row -> why it was refused, "" where it was not; of `tetrapy policy list`."""
    errors = {Path(one["file"]).stem: one["error"] for one in listed}
    table: dict[str, dict[str, str]] = {heading: {} for heading in CASES}
    for name, heading, row in names():
        table[heading][row] = _plain(errors[name])
    return table


def _plain(error: str) -> str:
    """What a table shows of an error: not the place in the policy, nor a path of a test."""
    words = error.split(": ", 1)
    return words[1] if len(words) > 1 and words[0].startswith("spec.") else error


def main() -> int:
    """Takes over what kernels were found to do; those that did not run keep what is known."""
    known = json.loads(DATA.read_text()) if DATA.exists() else {}
    for kernel in KERNELS:
        file = LEFT / f"{kernel}.json"
        if file.exists():
            known[kernel] = json.loads(file.read_text())
        else:
            print(f"{kernel} was not run", file=sys.stderr)
    ordered = {kernel: known[kernel] for kernel in KERNELS if kernel in known}
    DATA.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
