# SPDX-License-Identifier: Apache-2.0
"""Whether a policy acts on processes, and whether it does so or only tells what it would do."""

from __future__ import annotations

from typing import Iterator

from tetrapy.policy import names
from tetrapy.policy.names import SECTIONS
from tetrapy.policy.types import Policy, Selector

ENFORCE, MONITOR = "enforce", "monitor"
MONITOR_ONLY = "monitor_only"
"""The mode of a policy that acts on nobody."""
MODE_OPTION = "policy-mode"


def mode_of(policy: Policy) -> str:
    """The mode that a checked policy asks for."""
    if not any(map(_acts, _selectors(policy))):
        return MONITOR_ONLY
    # The last one counts, as of all options.
    asked = [one.value for one in policy.spec.options if one.name == MODE_OPTION]
    return asked[-1] if asked else ENFORCE


def _selectors(policy: Policy) -> Iterator[Selector]:
    for section in SECTIONS:
        for hook in getattr(policy.spec, section):
            yield from hook.selectors
    yield from policy.spec.selectors_macros.values()


def _acts(selector: Selector) -> bool:
    actions = (*selector.match_actions, *selector.match_return_actions)
    return any(action.action in names.ENFORCING for action in actions)
