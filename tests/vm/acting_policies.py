# SPDX-License-Identifier: Apache-2.0
"""The policies of test_policy_actions.py: one for each kind of hook and action."""

from __future__ import annotations

from typing import Any

SIGKILL = {"action": "Sigkill"}
USR1, USR2 = ({"action": "Signal", "argSig": number} for number in (10, 12))
EPERM, EROFS, EACCES, ENOSPC = 1, 30, 13, 28
PYTHON = {"operator": "Postfix", "values": ["python3", "python3.11", "python3.9"]}


def equal(value: str, index: int = 0) -> dict[str, Any]:
    return {"index": index, "operator": "Equal", "values": [value]}


def getpgid(number: int, *actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A kprobe at a system call that does nothing, for one argument."""
    selector = {"matchArgs": [equal(str(number))], "matchActions": list(actions)}
    return {
        "call": "sys_getpgid",
        "syscall": True,
        "args": [{"index": 0, "type": "int"}],
        "selectors": [{**selector, **more.pop("selector", {})}],
        **more,
    }


def opened(path: str, action: dict[str, Any]) -> dict[str, Any]:
    return {"matchArgs": [equal(path)], "matchActions": [action]}


def setting(probe: str, number: int, value: int, **more: Any) -> dict[str, Any]:
    """A policy that writes the argument of a static probe of tests/support/settable.c."""
    hook = {
        "path": "/test/settable",
        "provider": "tests",
        "name": probe,
        "args": [{"index": 0, "type": "int32"}],
        "selectors": [
            {
                "matchArgs": [equal(str(number))],
                "matchActions": [{"action": "Set", "argIndex": 0, "argValue": value}],
            }
        ],
    }
    return {"usdts": [hook], **more}


RETURNED = {
    "return": True,
    "returnArg": {"index": 0, "type": "int"},
    "selector": {"matchReturnArgs": [equal("-3")], "matchReturnActions": [USR2]},
}


def refused_mkdir(action: dict[str, Any]) -> dict[str, Any]:
    """A policy that acts where the function that "override" overrides returns its error."""
    returns = {"return": True, "returnArg": {"index": 0, "type": "int"}}
    selector = {"matchReturnArgs": [equal(str(-EROFS))], "matchReturnActions": [action]}
    hook = {"call": "security_inode_mkdir", "syscall": False, "selectors": [selector]}
    return {"kprobes": [{**hook, **returns}]}


POLICIES: dict[str, dict[str, Any]] = {
    "kprobe": {"kprobes": [getpgid(4101, SIGKILL)]},
    "tracepoint": {
        "tracepoints": [
            {
                "subsystem": "syscalls",
                "event": "sys_enter_getpgid",
                "args": [{"index": 5, "type": "int32"}],
                "selectors": [{"matchArgs": [equal("4102", 5)], "matchActions": [USR1]}],
            }
        ]
    },
    "raw": {
        "tracepoints": [
            {
                "subsystem": "raw_syscalls",
                "event": "sys_enter",
                "raw": True,
                "args": [{"index": 1, "type": "int64"}],
                "selectors": [{"matchArgs": [equal("139", 1)], "matchActions": [SIGKILL]}],
            }
        ]
    },
    "uprobe": {
        "uprobes": [
            {
                "path": "/lib/x86_64-linux-gnu/libc.so.6",
                "symbols": ["getpgid"],
                "args": [{"index": 0, "type": "int"}],
                "selectors": [{"matchArgs": [equal("4104")], "matchActions": [SIGKILL]}],
            }
        ]
    },
    "quiet": {"kprobes": [getpgid(4105, SIGKILL, {"action": "NoPost"})]},
    "limited": {"kprobes": [getpgid(4106, {"action": "Post", "rateLimit": "1h"}, USR1)]},
    "return": {"kprobes": [getpgid(4107, **RETURNED)]},
    "both": {"kprobes": [getpgid(4108, USR1, USR2)]},
    "crowded": {
        "kprobes": [
            {
                "call": "sys_poll",
                "syscall": True,
                "args": [{"index": 2, "type": "int"}],
                "return": True,
                "returnArg": {"index": 0, "type": "int"},
                "selectors": [
                    {
                        "matchArgs": [equal("41", 2)],
                        "matchReturnArgs": [equal("0")],
                        "matchReturnActions": [USR2],
                    }
                ],
            }
        ]
    },
    "second": {
        "kprobes": [
            {
                **getpgid(4190, SIGKILL),
                "selectors": [
                    {"matchArgs": [equal("4190")], "matchActions": [SIGKILL]},
                    # Decided by a text, which is read after the numbers.
                    {
                        "label": "by text",
                        "matchBinaries": [PYTHON],
                        "matchArgs": [equal("4109")],
                        "matchActions": [USR2],
                    },
                ],
            }
        ]
    },
    "lsm": {
        "lsmhooks": [
            {
                "hook": "file_open",
                "args": [{"index": 0, "type": "file"}],
                "selectors": [
                    opened("/tmp/act/secret", {"action": "Override", "argError": -EACCES}),
                    opened("/tmp/act/deadly", SIGKILL),
                    opened("/tmp/act/refused", {"action": "Override"}),
                ],
            }
        ]
    },
    "override": {
        "kprobes": [
            {
                "call": "security_inode_mkdir",
                "syscall": False,
                "args": [{"index": 1, "type": "dentry"}],
                "selectors": [
                    {
                        "matchArgs": [{"index": 1, "operator": "Postfix", "values": ["forbidden"]}],
                        "matchActions": [{"action": "Override", "argError": -EROFS}],
                    }
                ],
            }
        ]
    },
    # By their names one is loaded before it and one behind.
    "before": refused_mkdir(USR1),
    "seen": refused_mkdir(USR2),
    "enforcer": {
        "enforcers": [{"calls": ["security_inode_rmdir"]}],
        "kprobes": [getpgid(4140, {"action": "NotifyEnforcer", "argError": -ENOSPC})],
    },
    "unreturned": {
        "options": [{"name": "override-method", "value": "override-return"}],
        "kprobes": [getpgid(4150, {"action": "Override", "argError": -EROFS})],
    },
    "tracked": {
        "kprobes": [
            {
                "call": "sk_alloc",
                "syscall": False,
                "args": [{"index": 1, "type": "int"}],
                "return": True,
                "returnArg": {"index": 0, "type": "sock"},
                "returnArgAction": "TrackSock",
                "selectors": [{"matchArgs": [equal("2", 1)]}],
            },
            {
                "call": "security_socket_listen",
                "syscall": False,
                "args": [{"index": 0, "type": "socket"}],
            },
            {
                "call": "inet_shutdown",
                "syscall": False,
                "args": [{"index": 0, "type": "socket"}],
                "selectors": [{"matchActions": [{"action": "UntrackSock", "argSock": 0}]}],
            },
        ]
    },
    "set": setting("place", 7, 32),
    "set-indexed": setting("table", 7, (1 << 32) - 1),
    "set-monitored": setting("place", 8, 32, options=[{"name": "policy-mode", "value": "monitor"}]),
    "set-constant": setting("constant", 9, 32),
    "set-short": setting("short", 7, 32),
    "monitored": {
        "options": [{"name": "policy-mode", "value": "monitor"}],
        "kprobes": [getpgid(4120, SIGKILL)],
    },
    "only": {"kprobes": [getpgid(4130)]},
}


POSTS = ("post", "nopost")  # counters of what is reported, beside those of what is done


def actions_of(listed: dict[str, Any]) -> dict[str, str]:
    """What a policy that the agent lists did: how often by action."""
    counters = listed["stats"]["action_counters"]
    return {action: times for action, times in counters.items() if action not in POSTS}
