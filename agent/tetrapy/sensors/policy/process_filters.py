# SPDX-License-Identifier: Apache-2.0
"""Selectors that ask for the process that calls: its pid, namespaces, capabilities."""

from __future__ import annotations

from typing import Mapping

from tetrapy.named import NamedTuple
from tetrapy.policy import names
from tetrapy.policy.types import (
    MatchBinaries,
    MatchCapabilities,
    MatchNamespaceChanges,
    MatchPIDs,
    Selector,
)
from tetrapy.sensors.policy.filters import Filters
from tetrapy.sensors.policy.marks import UNKNOWN, Claim
from tetrapy.sensors.policy.sets import U64

_NAMESPACES: Mapping[str, str] = {
    "Uts": "NUMBER_UTS_NAMESPACE",
    "Ipc": "NUMBER_IPC_NAMESPACE",
    "Mnt": "NUMBER_MNT_NAMESPACE",
    "Pid": "NUMBER_PID_NAMESPACE",
    "PidForChildren": "NUMBER_PID_FOR_CHILDREN_NAMESPACE",
    "Net": "NUMBER_NET_NAMESPACE",
    "Time": "NUMBER_TIME_NAMESPACE",
    "TimeForChildren": "NUMBER_TIME_FOR_CHILDREN_NAMESPACE",
    "Cgroup": "NUMBER_CGROUP_NAMESPACE",
    "User": "NUMBER_USER_NAMESPACE",
}


class Host(NamedTuple):
    """What filters need to know of this host."""

    machine: str  # as uname tells it
    namespaces: Mapping[str, int]  # of its first process, by the names of policies


class ProcessFilters:
    """Adds to the filters of a hook those that its selectors have on the process."""

    def __init__(self, filters: Filters, host: Host, claim: Claim) -> None:
        self._filters = filters
        self._host = host
        self._claim = claim

    def add(self, bit: int, selector: Selector) -> None:
        """The filters of one selector. Raises PolicyUnsupportedError."""
        filters = self._filters
        for pids in selector.match_pids:
            if pids.follow_forks:
                self._followed_pids(bit, pids)
                continue
            name = "NUMBER_NAMESPACE_PID" if pids.is_namespace_pid else "NUMBER_PID"
            filters.is_in(bit, name, pids.values, pids.operator == "NotIn")
        for one in selector.match_namespaces:
            inodes = [
                self._host.namespaces[one.namespace]
                if value == names.HOST_NAMESPACE
                else int(value)
                for value in one.values
            ]
            filters.is_in(bit, _NAMESPACES[one.namespace], inodes, one.operator == "NotIn")
        for caps in selector.match_capabilities:
            self._capabilities(bit, caps)
        for changes in selector.match_namespace_changes:
            self._namespace_changes(bit, changes)
        for caps in selector.match_capability_changes:
            self._capability_changes(bit, caps)
        for binaries in selector.match_binaries:
            if binaries.follow_children:
                self._marked(bit, "NUMBER_FOLLOWED", binaries)
        for binaries in selector.match_parent_binaries:
            followed = binaries.follow_children
            name = "NUMBER_PARENT_FOLLOWED" if followed else "NUMBER_PARENT_MARKS"
            self._marked(bit, name, binaries)

    def notes_state(self, selector: Selector) -> bool:
        """Whether a match of the selector is told once only: by what it sees as a change."""
        return bool(selector.match_namespace_changes or selector.match_capability_changes)

    def _followed_pids(self, bit: int, match: MatchPIDs) -> None:
        filters = self._filters
        if match.is_namespace_pid:
            # As in Tetragon, such a selector is for processes in a pid namespace of their own.
            host = [self._host.namespaces["Pid"]]
            filters.is_in(bit, "NUMBER_PID_NAMESPACE", host, negated=True)
        mark = self._claim.of_pids(match.values, match.is_namespace_pid)
        self._has_mark(bit, "NUMBER_FOLLOWED", mark, match.operator == "NotIn")

    def _marked(self, bit: int, name: str, match: MatchBinaries) -> None:
        negated = match.operator.startswith("Not")
        operator = match.operator[3:] if negated else match.operator
        operator = {"In": "Equal"}.get(operator, operator)
        texts = [value.encode("utf-8", "surrogateescape") for value in match.values]
        self._has_mark(bit, name, self._claim.of_binaries(operator, texts), negated)

    def _has_mark(self, bit: int, name: str, mark: int, negated: bool) -> None:
        """Of a binary that is not known each filter holds."""
        mark |= 0 if negated else UNKNOWN
        self._filters.mask(bit, self._filters.number(name), [mark], negated)

    def _namespace_changes(self, bit: int, match: MatchNamespaceChanges) -> None:
        """NotIn is for changes of the others, as in Tetragon."""
        self._claim.asked = True
        negated = match.operator == "NotIn"
        wanted = [one for one in names.NAMESPACES if (one in match.values) != negated]
        mask = sum(1 << names.NAMESPACES.index(one) for one in wanted)
        number = self._filters.number("NUMBER_NAMESPACE_CHANGES")
        self._filters.mask(bit, number, [mask], negated=False)

    def _capability_changes(self, bit: int, match: MatchCapabilities) -> None:
        """NotIn is for changes of others, and of none of these."""
        self._claim.asked = True
        self._in_user_namespace(bit, match)
        mask = _capability_mask(match)
        number = self._filters.number(f"NUMBER_{match.type.upper()}_CHANGES")
        if match.operator == "NotIn":
            self._filters.mask(bit, number, [mask], negated=True)
            mask ^= U64
        self._filters.mask(bit, number, [mask], negated=False)

    def _capabilities(self, bit: int, match: MatchCapabilities) -> None:
        self._in_user_namespace(bit, match)
        number = self._filters.number(f"NUMBER_{match.type.upper()}")
        self._filters.mask(bit, number, [_capability_mask(match)], match.operator == "NotIn")

    def _in_user_namespace(self, bit: int, match: MatchCapabilities) -> None:
        """Such a selector is for processes in another user namespace than the host's."""
        if match.is_namespace_capability:
            host = [self._host.namespaces["User"]]
            self._filters.is_in(bit, "NUMBER_USER_NAMESPACE", host, negated=True)


def _capability_mask(match: MatchCapabilities) -> int:
    mask = 0
    for value in match.values:
        mask |= 1 << names.CAPABILITIES_BY_NAME[value]
    return mask
