# SPDX-License-Identifier: Apache-2.0
"""What policies of the matrix do with calls: each action at the hooks that it is for.

They are attached for calls that nobody makes: whoever comes by in the guest is left alone.
"""

from __future__ import annotations

from typing import Any

_Spec = dict[str, Any]
PROGRAM, PROBES, SETTABLE = "/test/called", "/test/probes", "/test/settable"

_NOBODY = {"matchPIDs": [{"operator": "In", "values": [4194304]}]}  # above PID_MAX_LIMIT
_SIGKILL, _SIGNAL = {"action": "Sigkill"}, {"action": "Signal", "argSig": 10}
_OVERRIDE = {"action": "Override", "argError": -1}
_NOTIFY = {"action": "NotifyEnforcer", "argError": -1}
_REGISTERS = {"action": "Override", "argRegs": ["rax=1", "rip=(%rsp)", "rsp=8%rsp"]}


def _for_nobody(*actions: _Spec, **hook: Any) -> _Spec:
    return {**hook, "selectors": [{**_NOBODY, "matchActions": list(actions)}]}


def _getpgid(*actions: _Spec) -> list[_Spec]:
    return [_for_nobody(*actions, call="sys_getpgid", syscall=True)]


def _called(call: str, *actions: _Spec) -> list[_Spec]:
    return [_for_nobody(*actions, call=call, syscall=False)]


def _opened(*actions: _Spec) -> _Spec:
    file = {"index": 0, "type": "file"}
    return {"lsmhooks": [_for_nobody(*actions, hook="file_open", args=[file])]}


def _event(*actions: _Spec, **more: Any) -> _Spec:
    return _for_nobody(*actions, subsystem="raw_syscalls", event="sys_enter", **more)


def _probe(path: str, name: str, *actions: _Spec) -> _Spec:
    number = {"index": 0, "type": "int32"}
    return _for_nobody(*actions, path=path, provider="tests", name=name, args=[number])


def _function(*actions: _Spec) -> _Spec:
    return _for_nobody(*actions, path=PROGRAM, symbols=["called"])


def _by(method: str, call: str = "sys_getpgid") -> _Spec:
    """System calls that are overridden in one of the two ways."""
    options = [{"name": "override-method", "value": method}]
    return {"options": options, "kprobes": [_for_nobody(_OVERRIDE, call=call, syscall=True)]}


_RETURNED = {
    **_NOBODY,
    "matchReturnArgs": [{"operator": "Equal", "values": ["-3"]}],
    "matchReturnActions": [_SIGNAL],
}

ACTIONS: dict[str, _Spec] = {
    "`Post` with `rateLimit`, `NoPost`": {
        "kprobes": [
            {
                "call": "security_file_permission",
                "syscall": False,
                "selectors": [
                    {"matchActions": [{"action": "Post", "rateLimit": "1m"}]},
                    {"matchActions": [{"action": "NoPost"}]},
                ],
            }
        ]
    },
    "stack traces": {
        "kprobes": _getpgid({"action": "Post", "kernelStackTrace": True, "userStackTrace": True})
    },
    "`Post` with `imaHash`": _opened({"action": "Post", "imaHash": True}),
    "`Sigkill`, `Signal` of `kprobes`": {"kprobes": _getpgid(_SIGKILL, _SIGNAL)},
    "… of `tracepoints`, also with `raw: true`": {
        "tracepoints": [_event(_SIGKILL, _SIGNAL), _event(_SIGKILL, _SIGNAL, raw=True)]
    },
    "… of `uprobes`": {"uprobes": [_function(_SIGKILL, _SIGNAL)]},
    "… of `usdts`": {"usdts": [_probe(PROBES, "hit", _SIGKILL, _SIGNAL)]},
    "… of `lsmhooks`": _opened(_SIGKILL, _SIGNAL),
    "… as `matchReturnActions`": {
        "kprobes": [
            {
                "call": "sys_getpgid",
                "syscall": True,
                "return": True,
                "returnArg": {"index": 0, "type": "int"},
                "selectors": [_RETURNED],
            }
        ]
    },
    "`Override` of `lsmhooks`": _opened(_OVERRIDE),
    "`Override` of `security_` functions": {"kprobes": _called("security_inode_mkdir", _OVERRIDE)},
    "`Override` of system calls": {"kprobes": _getpgid(_OVERRIDE)},
    "… `override-method: fmod-ret`": _by("fmod-ret"),
    "… `override-method: override-return`": _by("override-return", "sys_getsid"),
    "`Override` of `uprobes` (`argRegs`)": {"uprobes": [_function(_REGISTERS)]},
    "… `argError`, `argNewSymbol`": {
        "uprobes": [
            _function(_OVERRIDE),
            _function({"action": "Override", "argNewSymbol": "named"}),
        ]
    },
    "`NotifyEnforcer`, `enforcers` of `security_` functions": {
        "enforcers": [{"calls": ["security_inode_rmdir"]}],
        "kprobes": _getpgid(_NOTIFY),
    },
    "`NotifyEnforcer`, `enforcers` of system calls": {
        "enforcers": [{"calls": ["sys_getsid"]}],
        "kprobes": _getpgid(_NOTIFY),
    },
    "… notified by `tracepoints`; `CleanupEnforcerNotification`": {
        "enforcers": [{"calls": ["security_inode_rename"]}],
        "tracepoints": [_event(_NOTIFY), _event({"action": "CleanupEnforcerNotification"})],
    },
    "… notified by `uprobes`": {
        "enforcers": [{"calls": ["security_inode_link"]}],
        "uprobes": [_function(_NOTIFY)],
    },
    "`TrackSock`, `UntrackSock`": {
        "kprobes": [
            _for_nobody(
                {"action": action, "argSock": 0},
                call=call,
                syscall=False,
                args=[{"index": 0, "type": "sock"}],
            )
            for action, call in (("TrackSock", "lock_sock_nested"), ("UntrackSock", "release_sock"))
        ]
    },
    "`GetUrl`, `DnsLookup` (`allow-policy-requests`)": {
        "kprobes": _getpgid(
            {"action": "GetUrl", "argUrl": "http://127.0.0.1/"},
            {"action": "DnsLookup", "argFqdn": "localhost"},
        )
    },
    "`Set`": {
        "usdts": [_probe(SETTABLE, "place", {"action": "Set", "argIndex": 0, "argValue": 1})]
    },
}
"""Row of the table -> what a policy asks for."""
