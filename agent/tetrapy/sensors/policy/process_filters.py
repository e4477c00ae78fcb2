# SPDX-License-Identifier: Apache-2.0
"""Selectors that ask for the process that calls: its pid, namespaces, capabilities."""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Tuple

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
from tetrapy.sensors.policy.values import HookValues

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

    def __init__(self, filters: Filters, values: HookValues, host: Host, claim: Claim) -> None:
        self._filters = filters
        self._values = values
        self._binaries_at: Dict[bool, int] = {}  # indexes, by whether the host's are left out
        self._host = host
        self._claim = claim

    def expect(self, selectors: Iterable[Tuple[Selector, bool]]) -> None:
        """Say which selectors there are, and whether one leaves out only what is the host's."""
        for selector, of_host in selectors:
            if of_host and any(map(_leaves_out, selector.match_binaries)):
                self._add_binary(of_host)

    def add(self, bit: int, selector: Selector, of_host: bool) -> None:
        """The filters of one selector; `of_host`: it leaves out only what is the host's.

        Raises PolicyUnsupportedError.
        """
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
                self._marked(bit, "NUMBER_FOLLOWED", binaries, of_host)
        for binaries in selector.match_parent_binaries:
            followed = binaries.follow_children
            name = "NUMBER_PARENT_FOLLOWED" if followed else "NUMBER_PARENT_MARKS"
            self._marked(bit, name, binaries, of_host)

    def notes_state(self, selector: Selector) -> bool:
        """Whether a match of the selector is reported once only: by what it sees as a change."""
        return bool(selector.match_namespace_changes or selector.match_capability_changes)

    def _followed_pids(self, bit: int, match: MatchPIDs) -> None:
        filters = self._filters
        if match.is_namespace_pid:
            # As in Tetragon, such a selector is for processes in a pid namespace of their own.
            host = [self._host.namespaces["Pid"]]
            filters.is_in(bit, "NUMBER_PID_NAMESPACE", host, negated=True)
        mark = self._claim.of_pids(match.values, match.is_namespace_pid)
        self._has_mark(bit, "NUMBER_FOLLOWED", mark, match.operator == "NotIn")

    def add_binaries(self, bit: int, selector: Selector, of_host: bool) -> None:
        """Those on the executable that are decided at each call. Raises PolicyUnsupportedError."""
        for match in selector.match_binaries:
            if match.follow_children:
                continue
            operator, texts, negated = _comparison(match)
            # The others hold by the path alone: what is read anyway does.
            index = self._add_binary(of_host if negated else True in self._binaries_at)
            self._filters.text(bit, index, operator, texts, negated)

    def _add_binary(self, of_host: bool) -> int:
        if of_host not in self._binaries_at:
            index = self._binaries_at[of_host] = self._values.add_binary(of_host)
            self._values.read_first(index)
        return self._binaries_at[of_host]

    def _marked(self, bit: int, name: str, match: MatchBinaries, of_host: bool) -> None:
        operator, texts, negated = _comparison(match)
        mark = self._claim.of_binaries(operator, texts, negated and of_host)
        self._has_mark(bit, name, mark, negated)

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


def _comparison(match: MatchBinaries) -> Tuple[str, List[bytes], bool]:
    """The operator of texts, the texts, and whether it holds where that does not."""
    negated = match.operator.startswith("Not")
    operator = match.operator[3:] if negated else match.operator
    texts = [value.encode("utf-8", "surrogateescape") for value in match.values]
    return {"In": "Equal"}.get(operator, operator), texts, negated


def _leaves_out(match: MatchBinaries) -> bool:
    """Whether it compares, when a function is called, with what it does not want."""
    return match.operator.startswith("Not") and not match.follow_children


def _capability_mask(match: MatchCapabilities) -> int:
    mask = 0
    for value in match.values:
        mask |= 1 << names.CAPABILITIES_BY_NAME[value]
    return mask
