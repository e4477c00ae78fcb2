# SPDX-License-Identifier: Apache-2.0
"""What is left of a policy's budget, and who has used the rest.

The rule is that of the buffer's shares (bpf/share.h): an owner may have used as much as is left, so
that one takes half of the budget at most, and however many flood, something is left for the next.
Those of a cgroup may have used eight times as much together. What was used comes back with time, of
each owner the same part.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Set, Union

from tetrapy.sensors.policy.uses import Owner, Part, group_of, owner_of

_GROUP_TIMES = 8  # GROUP_TIMES of bpf/share.h
_STANDS_OUT = 8  # a part in so many of what was used, at least
_COMES_BACK = 8  # whose part in so many of the budget is reported again
_FORGOTTEN = 1024  # a part in so many of the budget is nothing: so many of a kind are known at most
_WAITING = 4096  # that may have something in the buffer
_User = Union[Owner, Part]

_GROUPS = ("OWNER_CGROUP", "OWNER_SUBORDINATES")


class Budget:
    """Of one policy; all times are seconds of a processor."""

    def __init__(self, most: float) -> None:
        """`most` may be used at once."""
        self.most = most
        self.used = 0.0
        self.silent: Set[Owner] = set()  # the caller's to change
        self._known = 0.0  # of what was used, by whom is known
        self._sums: Dict[_User, float] = {}  # by owner, by group, by part of both
        self._waiting: Dict[Part, int] = {}  # weights of what may still be in the buffer

    @property
    def left(self) -> float:
        """What may be used at once."""
        return self.most - self.used

    def come_back(self, seconds: float) -> None:
        """So much of what was used may be used again."""
        if self.used:
            self._scale(max(1 - seconds / self.used, 0.0))

    def charge(self, seconds: float, weights: Mapping[Part, int], *, more: bool) -> None:
        """So much was used, for records among which those of `weights` are the last to be sent: who
        has sent how much, in any unit, as far as that is known. `more` may still wait.

        More than the whole budget is not remembered, so that who is silent has not to wait long.
        """
        sent = dict(self._waiting)
        for part, weight in weights.items():
            sent[part] = sent.get(part, 0) + weight
        self._waiting = sent if more and len(sent) <= _WAITING else dict(weights)
        self.used += seconds
        self._known += seconds if sent else 0.0
        whole = sum(sent.values())
        sums = self._sums
        for part, weight in sent.items():
            ways: List[Optional[_User]] = [part, owner_of(part), group_of(part)]
            for one in ways:
                if one is not None:
                    sums[one] = sums.get(one, 0.0) + seconds * weight / whole
        self._scale(min(self.most / self.used, 1.0) if self.used else 1.0)

    def _scale(self, factor: float) -> None:
        self.used *= factor
        self._known *= factor
        least = self.most / _FORGOTTEN
        self._sums = {
            one: used * factor for one, used in self._sums.items() if used * factor >= least
        }

    def standing_out(self) -> List[Owner]:
        """Who is to be silent, and is not yet: owners, or if there are none those of a cgroup."""
        owners = [one for one in self._sums if isinstance(one, Owner) and one not in self.silent]
        for groups, times in ((False, 1), (True, _GROUP_TIMES)):
            bound = max(times * self.left, self.used / _STANDS_OUT)
            found = [
                owner
                for owner in owners
                if (owner.kind in _GROUPS) == groups and self._use_of(owner) > bound
            ]
            if found:
                return found
        return []

    def come_again(self) -> List[Owner]:
        """Who is silent, and whose calls may be reported again."""
        return [one for one in self.silent if self._use_of(one) <= self.most / _COMES_BACK]

    def exhausted(self, *, known: bool) -> bool:
        """Whether nothing is left, by many of whom nobody stands out: half was used by those who
        are not silent. Without `known` nobody knows who they are.
        """
        if self.used < self.most * (1 - 1e-9):
            return False
        return not known or self._known - sum(map(self._use_of, self.silent)) >= self.most / 2

    def _use_of(self, owner: Owner) -> float:
        """What an owner has used; of a group what those have who are not silent themselves."""
        used = self._sums.get(owner, 0.0)
        if owner.kind in _GROUPS:
            used -= sum(
                self._sums.get((silent.uid, owner.cgroup), 0.0)
                for silent in self.silent
                if group_of((silent.uid, owner.cgroup)) == owner and silent.kind == "OWNER_UID"
            )
        return used
