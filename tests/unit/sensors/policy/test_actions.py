# SPDX-License-Identifier: Apache-2.0
"""Actions of selectors -> what the kernel side is told to do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from tests.support.policies import read, selector, spec
from tetrapy.errors import PolicyUnsupportedError
from tetrapy.policy.types import Selector
from tetrapy.sensors.policy.actions import action_of, overrides
from tetrapy.sensors.policy.tables import Action, HookWriter
from tetrapy.sensors.policy.values import Source

POST, KERNEL_STACK, USER_STACK, OVERRIDE, QUIET = 1, 64, 128, 256, 512
NOTIFY, CLEANUP, TRACK, UNTRACK, SET = 1024, 2048, 4096, 8192, 32768
WRITER = cast(
    HookWriter,
    SimpleNamespace(
        action_flags={
            "ACTION_POST": POST,
            "ACTION_SCOPE_PROCESS": 8,
            "ACTION_KERNEL_STACK": KERNEL_STACK,
            "ACTION_USER_STACK": USER_STACK,
            "ACTION_OVERRIDE": OVERRIDE,
            "ACTION_RETURN_QUIET": QUIET,
            "ACTION_NOTIFY": NOTIFY,
            "ACTION_CLEANUP": CLEANUP,
            "ACTION_TRACK": TRACK,
            "ACTION_UNTRACK": UNTRACK,
            "ACTION_SET": SET,
        }
    ),
)

SIGNALS = "{action: Signal, argSig: 10}, {action: Signal, argSig: 64}, {action: Sigkill}"
LIMITED = "{action: Post, rateLimit: 3s, rateLimitScope: process, userStackTrace: true}"


def of(text: str) -> Selector:
    """The selector of a policy that has one."""
    probe = "{path: /a, provider: p, name: n, args: [{index: 0, type: int}, {index: 1, type: int},"
    probe += f" {{index: 2, type: int}}], selectors: [{text}]}}"
    is_set = "action: Set" in text  # which is for static probes alone
    policy = read(spec(f"  usdts: [{probe}]") if is_set else selector(text)).policy
    found: Selector = (policy.spec.usdts if is_set else policy.spec.kprobes)[0].selectors[0]
    return found


def made_of(selector: Selector, *, can_override: bool = False) -> Action:
    return action_of(selector, WRITER, Source("x86_64", can_override=can_override))


def made(text: str, *, can_override: bool = False) -> Action:
    return action_of(of(text), WRITER, Source("x86_64", can_override=can_override), (3, 1), {2})


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("{}", Action(POST)),
        ("{matchActions: [{action: Sigkill}]}", Action(POST, signals=9)),
        ("{matchActions: [{action: Sigkill}, {action: NoPost}]}", Action(0, signals=9)),
        (
            "{matchActions: [{action: Set, argIndex: 2, argValue: 7}]}",
            Action(POST | SET, set_argument=2, set_value=7),
        ),
        ("{matchActions: [{action: NoPost}, {action: Post}]}", Action(0)),
        (
            "{matchActions: [" + SIGNALS + "]}",
            Action(POST, signals=10 | 64 << 8 | 9 << 16),
        ),
        ("{matchActions: [{action: Signal, argSig: 300}]}", Action(POST)),
        (
            "{matchActions: [{action: Signal, argSig: 2}, " + LIMITED + "]}",
            Action(POST | 8 | USER_STACK, 3_000_000_000, 2),
        ),
        (
            "{matchActions: [{action: UntrackSock, argSock: 1}, {action: NoPost}]}",
            Action(UNTRACK, socket=1),
        ),
        ("{matchActions: [{action: CleanupEnforcerNotification}]}", Action(POST | CLEANUP)),
        (
            "{matchReturnActions: [{action: Sigkill}, {action: NoPost}]}",
            Action(POST | QUIET, return_signals=9),
        ),
    ],
)
def test_what_is_done(text: str, action: Action) -> None:
    """Signals keep their order; what is no signal is left out; NoPost wins."""
    assert made(text) == action


def test_functions_that_do_not_run() -> None:
    """Only where the hook's programs can do that."""
    first = of("{matchActions: [{action: Sigkill}]}")
    action = first.match_actions[0].replaced(action="Override", arg_error=-30)
    overriding = first.replaced(match_actions=(action,))
    notifying = first.replaced(match_actions=(action.replaced(action="NotifyEnforcer", arg_sig=9),))
    found = made_of(notifying)
    assert found == Action(POST | NOTIFY, notify_error=-30, notify_signal=9)
    assert overrides([first, overriding]) == [-30]
    found = made_of(overriding, can_override=True)
    assert found == Action(POST | OVERRIDE, error=-30)
    with pytest.raises(PolicyUnsupportedError, match="use a kprobe, or an LSM hook"):
        made_of(overriding)


@pytest.mark.parametrize(("asked", "error"), [(-13, -13), (0, -1), (5, -1), (-4096, -1)])
def test_lsm_hooks_refuse_by_an_error(asked: int, error: int) -> None:
    """What is none counts as -EPERM: a call that an Override does not refuse would go on."""
    one = of("{matchActions: [{action: Sigkill}]}")
    action = one.match_actions[0].replaced(action="Override", arg_error=asked)
    hook = Source("x86_64", can_override=True, only_refuses=True)
    found = action_of(one.replaced(match_actions=(action,)), WRITER, hook)
    assert found == Action(POST | OVERRIDE, error=error)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{matchActions: [{action: Set, argIndex: 1, argValue: 7}]}", "Set: argument 1 is not 4"),
        (
            "{matchActions: [{action: Set, argIndex: 2}, {action: Set, argIndex: 2}]}",
            "Set: more than one",
        ),
        ("{matchReturnActions: [{action: Set, argIndex: 2}]}", "matchReturnActions: action Set"),
        ("{matchActions: [{action: TrackSock, argSock: 0}]}", "argument 0 is no socket"),
        ("{matchReturnActions: [{action: TrackSock}]}", "matchReturnActions: action TrackSock"),
        (
            "{matchReturnActions: [{action: Post, rateLimit: 1s}]}",
            "matchReturnActions: rateLimit",
        ),
    ],
)
def test_what_is_not_there_is_named(text: str, name: str) -> None:
    """Never left out silently."""
    with pytest.raises(PolicyUnsupportedError, match=name):
        made(text)
