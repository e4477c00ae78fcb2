# SPDX-License-Identifier: Apache-2.0
"""What a policy asks of that needs more than observing this host."""

from __future__ import annotations

from typing import Dict, Iterator, List

from tetrapy.named import NamedTuple
from tetrapy.policy.names import SECTIONS
from tetrapy.policy.types import Policy, Selector

ACTS = "acting on processes"
# Why: no other kernel, and no setting, helps.
_WHY = {"Override": f"{ACTS}: of a static probe there is nothing to override; use a uprobe"}

ACTIONS = frozenset(
    "Post NoPost Sigkill Signal Override NotifyEnforcer CleanupEnforcerNotification TrackSock"
    " UntrackSock GetUrl DnsLookup Set".split()
)
"""The actions that are here."""


class Feature(NamedTuple):
    """A feature of Tetragon that is not here: its name, where it is used, what it is part of."""

    name: str
    path: str
    part: str

    def __str__(self) -> str:
        return f"{self.path}: {self.name} is not supported yet ({self.part})"


def later(policy: Policy) -> List[Feature]:
    """The features that a policy uses and this agent does not have, each at its first use."""
    found: Dict[str, Feature] = {}
    for feature in _used(policy):
        found.setdefault(feature.name, feature)
    return list(found.values())


def _used(policy: Policy) -> Iterator[Feature]:
    spec = policy.spec
    for section in SECTIONS:
        for number, hook in enumerate(getattr(spec, section)):
            path = f"spec.{section}[{number}]"
            for at, selector in enumerate(hook.selectors):
                yield from _of_selector(selector, f"{path}.selectors[{at}]", section)
    for name, macro in spec.selectors_macros.items():
        yield from _of_selector(macro, f"spec.selectorsMacros.{name}")


def _of_selector(selector: Selector, path: str, section: str = "") -> Iterator[Feature]:
    for field, actions in (
        ("matchActions", selector.match_actions),
        ("matchReturnActions", selector.match_return_actions),
    ):
        for number, action in enumerate(actions):
            where = f"{path}.{field}[{number}]"
            name = action.action
            if name in ACTIONS and (name, section) != ("Override", "usdts"):
                continue
            yield Feature(f"action {name}", where, _WHY.get(name, ACTS))
