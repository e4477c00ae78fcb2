# SPDX-License-Identifier: Apache-2.0
"""What is done with a call that a selector matches."""

from __future__ import annotations

from typing import AbstractSet, Iterable, List, Mapping, Optional, Sequence, Tuple

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.policy import names, types
from tetrapy.policy.later import ACTIONS
from tetrapy.policy.types import Selector
from tetrapy.policy.values import rate_limit
from tetrapy.sensors.policy.tables import Action, HookWriter
from tetrapy.sensors.policy.values import Source

_NS_PER_MS = 1_000_000
_SIGKILL = 9
_TRACKING: Mapping[str, str] = {"TrackSock": "ACTION_TRACK", "UntrackSock": "ACTION_UNTRACK"}
_ASKING = frozenset({"GetUrl", "DnsLookup"})
_SCOPES: Mapping[str, str] = {
    "thread": "ACTION_SCOPE_THREAD",
    "process": "ACTION_SCOPE_PROCESS",
    "global": "ACTION_SCOPE_GLOBAL",
}


def overrides(selectors: Iterable[Selector]) -> List[int]:
    """What functions are to return that selectors keep from running, a number for each action."""
    return [
        action.arg_error
        for selector in selectors
        for action in selector.match_actions
        if action.action == "Override"
    ]


def tracks(selectors: Iterable[Selector]) -> bool:
    """Whether they note whose sockets are."""
    return any(
        action.action in _TRACKING for selector in selectors for action in selector.match_actions
    )


def asks(selectors: Iterable[Selector]) -> bool:
    """Whether they have the agent ask something of others."""
    return any(
        action.action in _ASKING for selector in selectors for action in selector.match_actions
    )


def sets(selectors: Iterable[Selector]) -> bool:
    """Whether they have arguments of a static probe written."""
    return any(action.action == "Set" for one in selectors for action in one.match_actions)


def hashes(selectors: Iterable[Selector]) -> bool:
    """Whether they ask for the hash of a file."""
    return any(action.ima_hash for one in selectors for action in one.match_actions)


def action_of(
    selector: Selector,
    writer: HookWriter,
    hook: Source,
    sockets: Sequence[int] = (),
    settable: AbstractSet[int] = frozenset(),
) -> Action:
    """The action, by enum action_flag of bpf/hook_action.h.

    `sockets` are the indexes of the hook's values that are sockets, `settable` those of values that
    Set may write. Raises PolicyUnsupportedError for what is not there yet.
    """
    flags = writer.action_flags
    chosen, interval, error, notified, socket = flags["ACTION_POST"], 0, 0, (0, 0), 0
    written = (0, 0)
    for action in selector.match_actions:
        if action.action == "NoPost":
            chosen &= ~flags["ACTION_POST"]
        elif action.action == "Override":
            if not hook.can_override:
                raise PolicyUnsupportedError(
                    "action Override of this kind of hook: use a kprobe, or an LSM hook"
                )
            chosen |= flags["ACTION_OVERRIDE"]
            error = names.refusal(action.arg_error) if hook.only_refuses else action.arg_error
        elif action.action == "NotifyEnforcer":
            signal = action.arg_sig if action.arg_sig in names.SIGNALS else 0
            chosen, notified = chosen | flags["ACTION_NOTIFY"], (action.arg_error, signal)
        elif action.action == "CleanupEnforcerNotification":
            chosen |= flags["ACTION_CLEANUP"]
        elif action.action in _TRACKING:
            chosen |= flags[_TRACKING[action.action]]
            if action.arg_sock not in sockets:
                raise PolicyUnsupportedError(
                    f"action {action.action}: argument {action.arg_sock} is no socket"
                )
            socket = sockets.index(action.arg_sock)
        elif action.action == "Set":
            if chosen & flags["ACTION_SET"]:
                raise PolicyUnsupportedError("action Set: more than one of a selector")
            if action.arg_index not in settable:
                raise PolicyUnsupportedError(
                    f"action Set: argument {action.arg_index} is not 4 bytes in the memory of the"
                    " process, at this place of the probe"
                )
            chosen, written = chosen | flags["ACTION_SET"], (action.arg_index, action.arg_value)
        elif action.action not in ACTIONS:
            raise PolicyUnsupportedError(f"action {action.action}")
        if action.rate_limit:
            interval = rate_limit(action.rate_limit) * _NS_PER_MS
            chosen |= flags[_SCOPES[action.rate_limit_scope]] if action.rate_limit_scope else 0
        if action.kernel_stack_trace:
            chosen |= flags["ACTION_KERNEL_STACK"]
        if action.user_stack_trace:
            chosen |= flags["ACTION_USER_STACK"]
        if action.ima_hash:
            if not hook.can_hash:
                raise PolicyUnsupportedError(
                    f"action {action.action}: imaHash of this kind of hook"
                )
            chosen |= flags["ACTION_HASH"]
    quiet, return_signals = _of_return(selector.match_return_actions)
    return Action(
        chosen | (flags["ACTION_RETURN_QUIET"] if quiet else 0),
        interval,
        _packed(_signals(selector.match_actions)),
        _packed(return_signals),
        error,
        *notified,
        socket,
        *written,
    )


def put_off(action: Action, writer: HookWriter, number: Optional[int]) -> Action:
    """The action with its Override left to the program behind, for `number` where that is given."""
    flags = action.flags | writer.action_flags["ACTION_OVERRIDE_LATER"]
    return action._replace(flags=flags, error=action.error if number is None else number)


_OF_RETURN = frozenset({"Post", "NoPost", "Sigkill", "Signal"})


def _of_return(actions: Sequence[types.Action]) -> Tuple[bool, List[int]]:
    """Whether the call is not reported, and the signals that are sent when its function returns."""
    for action in actions:
        if action.action not in _OF_RETURN:
            raise PolicyUnsupportedError(f"matchReturnActions: action {action.action}")
        for feature, used in (
            ("rateLimit", action.rate_limit),
            ("kernelStackTrace", action.kernel_stack_trace),
            ("userStackTrace", action.user_stack_trace),
        ):
            if used:
                raise PolicyUnsupportedError(f"matchReturnActions: {feature}")
    return any(action.action == "NoPost" for action in actions), _signals(actions)


def _signals(actions: Sequence[types.Action]) -> List[int]:
    wanted = [
        _SIGKILL if action.action == "Sigkill" else action.arg_sig
        for action in actions
        if action.action in {"Sigkill", "Signal"}
    ]
    return [signal for signal in wanted if signal in names.SIGNALS]


def _packed(signals: Sequence[int]) -> int:
    """A byte for each, the first one in the lowest."""
    return int.from_bytes(bytes(signals), "little")
