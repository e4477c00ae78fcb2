# SPDX-License-Identifier: Apache-2.0
"""What is done with a call that a selector matches."""

from __future__ import annotations

from typing import Mapping

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.policy.types import Selector
from tetrapy.policy.values import rate_limit
from tetrapy.sensors.policy.tables import Action

_NS_PER_MS = 1_000_000
_SCOPES: Mapping[str, str] = {
    "thread": "ACTION_SCOPE_THREAD",
    "process": "ACTION_SCOPE_PROCESS",
    "global": "ACTION_SCOPE_GLOBAL",
}


def action_of(selector: Selector, flags: Mapping[str, int]) -> Action:
    """The action, by enum action_flag of bpf/hook.h.

    Raises PolicyUnsupportedError for what acts on processes, and for what events cannot show yet.
    """
    chosen, interval = flags["ACTION_POST"], 0
    for action in selector.match_actions:
        if action.action == "NoPost":
            chosen = 0
        elif action.action != "Post":
            raise PolicyUnsupportedError(f"action {action.action}")
        if action.rate_limit:
            interval = rate_limit(action.rate_limit) * _NS_PER_MS
            chosen |= flags[_SCOPES[action.rate_limit_scope]] if action.rate_limit_scope else 0
        for feature, used in (
            ("kernelStackTrace", action.kernel_stack_trace),
            ("userStackTrace", action.user_stack_trace),
            ("imaHash", action.ima_hash),
        ):
            if used:
                raise PolicyUnsupportedError(f"action {action.action}: {feature}")
    return Action(chosen, interval)
