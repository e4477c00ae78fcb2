# SPDX-License-Identifier: Apache-2.0
"""A hook of a policy -> what the kernel is told of it, and how its records are read.

Raises PolicyUnsupportedError for what the kernel side cannot do (yet): a policy is refused by the
name of the feature, never loaded without it.
"""

from __future__ import annotations

from typing import Iterable, List, Mapping, Optional, Sequence, Tuple

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.named import NamedTuple
from tetrapy.policy import names
from tetrapy.policy.conditions import (
    BY_EITHER,
    BY_INDEX,
    BY_PLACE,
    Condition,
    Networks,
    Numbers,
    Spans,
    Texts,
    condition,
)
from tetrapy.policy.functions import parse_syscall
from tetrapy.policy.types import Argument, MatchBinaries, NamedList, Selector
from tetrapy.sensors.policy.actions import action_of
from tetrapy.sensors.policy.hook import HookValue
from tetrapy.sensors.policy.sets import SIGN, U64, covering, network, ordered, text_sets
from tetrapy.sensors.policy.tables import Action, Filter, HookTable, HookWriter
from tetrapy.sensors.policy.values import SOCKETS, HookValues, Source

_RANGES = 4

# Operator, without Not -> number of the socket that it compares.
_SOCKET_NUMBERS: Mapping[str, str] = {
    "Family": "SOCKET_FAMILY",
    "State": "SOCKET_STATE",
    "Protocol": "SOCKET_PROTOCOL",
    "SPort": "SOCKET_SOURCE_PORT",
    "DPort": "SOCKET_DESTINATION_PORT",
    "SPortPriv": "SOCKET_SOURCE_PORT",
    "SportPriv": "SOCKET_SOURCE_PORT",
    "DPortPriv": "SOCKET_DESTINATION_PORT",
}
_ADDRESSES: Mapping[str, int] = {"SAddr": 0, "DAddr": 1}
_PATHS = frozenset({"file", "path", "dentry", "linux_binprm", "fd"})

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


class Compiled(NamedTuple):
    """A hook that is ready for the kernel."""

    table: HookTable
    values: Tuple[HookValue, ...]


class HookCompiler:
    """Compiles one hook."""

    def __init__(
        self, writer: HookWriter, host: Host, lists: Sequence[NamedList], source: Source
    ) -> None:
        self._writer = writer
        self._host = host
        self._lists = {one.name: one for one in lists}
        self._machine = source.machine
        self._match_by = BY_INDEX if source.fields is None else BY_EITHER
        self._values = HookValues(writer, source)
        self._plain: List[Filter] = []
        self._texts: List[Filter] = []
        self._context = 0
        self._returns: List[Filter] = []
        self._binary: Optional[int] = None

    def compile(
        self,
        arguments: Sequence[Argument],
        selectors: Sequence[Selector],
        return_argument: Optional[Argument] = None,
        data: Sequence[Argument] = (),
    ) -> Compiled:
        """The hook's table; `return_argument` where it is reported when the function returns.

        Raises PolicyUnsupportedError.
        """
        for argument in arguments:
            self._values.add(argument, "argument")
        data_at = len(self._values.values)
        for argument in data:
            self._values.add(argument, "data")
        returned = self._values.add(return_argument, "return") if return_argument else None
        actions = []
        for number, selector in enumerate(selectors):
            self._selector(1 << number, selector, arguments)
            for match in selector.match_data:
                found = condition(match, data, BY_PLACE)
                places = tuple(data_at + place for place in found.arguments)
                self._condition(1 << number, found._replace(arguments=places))
            self._selector_of_return(1 << number, selector, return_argument, returned)
            actions.append(action_of(selector, self._writer.action_flags))
        if not actions:
            actions.append(Action(self._writer.action_flags["ACTION_POST"]))
        self._expect_room()
        table = HookTable(
            tuple(self._values.values),
            tuple(self._plain),
            tuple(self._texts),
            tuple(actions),
            self._context,
            tuple(self._returns),
            reports_return=return_argument is not None
            or any(argument.return_copy for argument in arguments),
            sockets=tuple(self._values.sockets),
        )
        return Compiled(table, tuple(self._values.reported))

    def _expect_room(self) -> None:
        limits = self._writer.limits
        for count, limit, what in (
            (
                len(self._plain) + len(self._texts) + len(self._returns),
                "HOOK_FILTERS",
                "comparisons of its selectors",
            ),
            (len(self._texts), "HOOK_TEXT_FILTERS", "comparisons of texts"),
            (len(self._returns), "HOOK_RETURN_FILTERS", "comparisons of what is returned"),
            (len(self._values.sockets), "HOOK_SOCKETS", "sockets"),
            (len(self._values.values), "HOOK_VALUES", "values, the executable included"),
        ):
            if count > limits[limit]:
                raise PolicyUnsupportedError(
                    f"a hook with {count} {what}; {limits[limit]} are supported"
                )

    # --- selectors --------------------------------------------------------------------------

    def _selector(self, bit: int, selector: Selector, arguments: Sequence[Argument]) -> None:
        for feature, used in (
            ("matchReturnActions", selector.match_return_actions),
            ("matchParentBinaries", selector.match_parent_binaries),
            ("matchNamespaceChanges", selector.match_namespace_changes),
            ("matchCapabilityChanges", selector.match_capability_changes),
            ("matchWorkloads", selector.match_workloads),
        ):
            if used:
                raise PolicyUnsupportedError(f"selectors: {feature}")
        for pids in selector.match_pids:
            if pids.follow_forks:
                raise PolicyUnsupportedError("matchPIDs: followForks")
            name = "NUMBER_NAMESPACE_PID" if pids.is_namespace_pid else "NUMBER_PID"
            self._in(bit, name, pids.values, pids.operator == "NotIn")
        for one in selector.match_namespaces:
            inodes = [
                self._host.namespaces[one.namespace]
                if value == names.HOST_NAMESPACE
                else int(value)
                for value in one.values
            ]
            self._in(bit, _NAMESPACES[one.namespace], inodes, one.operator == "NotIn")
        for caps in selector.match_capabilities:
            if caps.is_namespace_capability:
                raise PolicyUnsupportedError("matchCapabilities: isNamespaceCapability")
            mask = sum(1 << names.CAPABILITIES_BY_NAME[value] for value in caps.values)
            number = self._number(f"NUMBER_{caps.type.upper()}")
            self._mask(bit, number, [mask], caps.operator == "NotIn")
        for match in selector.match_args:
            self._condition(bit, condition(match, arguments, self._match_by))
        for binaries in selector.match_binaries:
            self._binaries(bit, binaries)

    def _selector_of_return(
        self, bit: int, selector: Selector, argument: Optional[Argument], index: Optional[int]
    ) -> None:
        """Comparisons of what the function returns."""
        for match in selector.match_return_args:
            if argument is None or index is None:
                raise PolicyUnsupportedError("matchReturnArgs of a hook without a return value")
            found = condition(match, [argument], BY_EITHER)
            plain, self._plain = self._plain, self._returns
            self._condition(bit, found._replace(arguments=(index,)))
            self._plain = plain
            if argument.type not in names.INTEGERS:
                raise PolicyUnsupportedError(f"matchReturnArgs: type {argument.type}")

    def _number(self, name: str) -> int:
        number = self._writer.numbers[name]
        self._context |= 1 << number
        return number

    def _in(self, bit: int, name: str, values: Iterable[int], negated: bool) -> None:
        spans = [(value, value) for value in values]
        self._numbers(bit, self._number(name), spans, negated, 64, is_signed=False)

    def _numbers(
        self,
        bit: int,
        number: int,
        spans: Sequence[Tuple[int, int]],
        negated: bool,
        bits: int,
        is_signed: bool,
    ) -> None:
        flip = SIGN if is_signed else 0
        ranges = [
            (ordered(low, bits, is_signed), ordered(high, bits, is_signed))
            for low, high in spans
            if low <= high  # nothing is below the least number
        ]
        comparisons = self._writer.comparisons
        one = Filter(comparisons["COMPARE_RANGES"], number, bit, negated, flip=flip)
        if len(ranges) <= _RANGES:
            one = one._replace(ranges=tuple(ranges))
        else:
            members = tuple(part for low, high in ranges for part in covering(low, high))
            one = one._replace(comparison=comparisons["COMPARE_SET"], members=members)
        self._plain.append(one)

    def _mask(self, bit: int, number: int, masks: Iterable[int], negated: bool) -> None:
        mask = 0
        for one in masks:
            mask |= one & U64
        comparison = self._writer.comparisons["COMPARE_MASK"]
        self._plain.append(Filter(comparison, number, bit, negated, ranges=((mask, 0),)))

    def _condition(self, bit: int, found: Condition) -> None:
        negated = found.operator.startswith("Not")
        operator = found.operator[3:] if negated else found.operator
        index = found.arguments[0]
        values = found.values
        if found.kind in names.INTEGERS and isinstance(values, (Numbers, Spans)):
            bits, is_signed = names.INTEGERS[found.kind]
            lowest, highest = (-SIGN, SIGN - 1) if is_signed else (0, U64)
            if isinstance(values, Spans):
                spans = [*values.spans, *self._listed(values.lists)]
            elif operator == "Mask":
                self._mask(bit, index, values.numbers, negated)
                return
            elif operator in {"GT", "GreaterThan"}:
                spans = [(min(values.numbers) + 1, highest)]
            elif operator in {"LT", "LessThan"}:
                spans = [(lowest, max(values.numbers) - 1)]
            else:
                spans = [(number, number) for number in values.numbers]
            self._numbers(bit, index, spans, negated, max(bits, 32), is_signed)
            return
        if found.kind in SOCKETS and operator in _SOCKET_NUMBERS and isinstance(values, Spans):
            slot = self._values.sockets.index(index)
            base = self._writer.numbers["NUMBER_SOCKETS"]
            base += slot * self._writer.socket_numbers["SOCKET_NUMBERS"]
            number = base + self._writer.socket_numbers[_SOCKET_NUMBERS[operator]]
            self._numbers(bit, number, values.spans, negated, 64, is_signed=False)
            return
        if found.kind in SOCKETS and operator in _ADDRESSES and isinstance(values, Networks):
            number = 2 * self._values.sockets.index(index) + _ADDRESSES[operator]
            self._plain.append(
                Filter(
                    self._writer.comparisons["COMPARE_ADDRESS"],
                    number,
                    bit,
                    negated,
                    members=tuple(network(one) for one in values.networks),
                )
            )
            return
        if found.kind in names.CAPABILITY_SETS and isinstance(values, Numbers):
            self._capabilities(bit, index, operator, values.numbers, negated)
            return
        if found.kind in {"string", *_PATHS, "char_buf"} and isinstance(values, Texts):
            if found.kind == "char_buf" and operator == "Equal":
                raise PolicyUnsupportedError(f"matchArgs: {found.operator} for type char_buf")
            if self._values.is_at_return(index):
                raise PolicyUnsupportedError(f"matchArgs: {found.operator} with returnCopy")
            self._values.read_first(index)
            self._text(bit, index, operator, values.texts, negated)
            return
        raise PolicyUnsupportedError(f"matchArgs: {found.operator} for type {found.kind}")

    def _capabilities(
        self, bit: int, index: int, operator: str, masks: Sequence[int], negated: bool
    ) -> None:
        if operator == "Equal":
            spans = [(mask, mask) for mask in masks]
            self._numbers(bit, index, spans, negated, 64, is_signed=False)
        elif operator == "Mask":
            self._mask(bit, index, masks, negated)
        else:
            raise PolicyUnsupportedError(f"matchArgs: {operator} for capability sets")

    def _listed(self, lists: Iterable[str]) -> Iterable[Tuple[int, int]]:
        for name in lists:
            found = self._lists[name]
            if found.type != names.SYSCALL_LIST:
                raise PolicyUnsupportedError(f"lists: {name} of type {found.type or 'functions'}")
            for value in found.values:
                number = parse_syscall(value, self._machine).number
                if number is not None:
                    yield number, number

    def _binaries(self, bit: int, match: MatchBinaries) -> None:
        if match.follow_children:
            raise PolicyUnsupportedError("matchBinaries: followChildren")
        if self._binary is None:
            self._binary = self._values.add_binary()
            self._values.read_first(self._binary)
        negated = match.operator.startswith("Not")
        operator = match.operator[3:] if negated else match.operator
        operator = {"In": "Equal"}.get(operator, operator)
        texts = [value.encode("utf-8", "surrogateescape") for value in match.values]
        self._text(bit, self._binary, operator, texts, negated)

    def _text(
        self, bit: int, index: int, operator: str, texts: Sequence[bytes], negated: bool
    ) -> None:
        comparison = self._writer.comparisons["COMPARE_SET"]
        groups = text_sets(operator, texts, self._writer.limits["SET_DATA"])
        for at, (length, members) in enumerate(groups):
            self._texts.append(
                Filter(
                    comparison,
                    index,
                    bit,
                    negated,
                    joined=at + 1 < len(groups),
                    end=length,
                    members=members,
                )
            )
