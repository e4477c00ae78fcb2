# SPDX-License-Identifier: Apache-2.0
"""A hook of a policy -> what the kernel is told of it, and how its records are read.

Raises PolicyUnsupportedError for what the kernel side cannot do (yet): a policy is refused by the
name of the feature, never loaded without it.
"""

from __future__ import annotations

from typing import Dict, Iterable, Mapping, Optional, Sequence, Set, Tuple

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
from tetrapy.policy.expression import Expression
from tetrapy.policy.functions import parse_syscall
from tetrapy.policy.types import Argument, NamedList, Selector
from tetrapy.policy.workloads import Workload
from tetrapy.sensors.policy.actions import action_of, overrides, put_off
from tetrapy.sensors.policy.filters import Filters
from tetrapy.sensors.policy.hook import HookValue
from tetrapy.sensors.policy.marks import Claim
from tetrapy.sensors.policy.operations import Operations
from tetrapy.sensors.policy.process_filters import Host, ProcessFilters
from tetrapy.sensors.policy.sets import SIGN, U64, network
from tetrapy.sensors.policy.tables import Action, Filter, HookTable, HookWriter
from tetrapy.sensors.policy.values import SOCKETS, HookValues, Source
from tetrapy.sensors.policy.workloads import Claim as WorkloadClaim

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
# Types that are compared as texts.
_TEXTS = frozenset(
    "string char_buf file path dentry linux_binprm fd kiocb filename net_device data_loc"
    " sockaddr_un".split()
)


# What the program reads that goes through the values; each of the others takes two programs.
_READ_INLINE = (
    "VALUE_NONE VALUE_NUMBER VALUE_POINTED VALUE_STRING VALUE_BYTES VALUE_DATA_LOC VALUE_SOCK"
    " VALUE_SOCKET VALUE_SOCKADDR VALUE_SOCKADDR_UN"
).split()
_FOLLOWING = 32  # programs, the most that all kernels let follow one another (MAX_TAIL_CALL_CNT)


class Compiled(NamedTuple):
    """A hook that is ready for the kernel."""

    table: HookTable
    values: Tuple[HookValue, ...]


STACK_STEP = "STEP_STACK"
"""Of bpf/call.h: what adds stacks to a record."""


class HookCompiler:
    """Compiles one hook."""

    def __init__(
        self,
        writer: HookWriter,
        host: Host,
        lists: Sequence[NamedList],
        source: Source,
        claim: Claim,
    ) -> None:
        self._writer = writer
        self._lists = {one.name: one for one in lists}
        self._machine = source.machine
        self._match_by = BY_INDEX if source.fields is None else BY_EITHER
        self._values = HookValues(writer, source)
        self._source = source
        self._filters = Filters(writer)
        self._operations = Operations(writer)
        self._process = ProcessFilters(self._filters, self._values, host, claim)
        self._contained: Set[int] = set()  # numbers of selectors for containers alone

    def limit(self, claim: WorkloadClaim, workloads: Sequence[Tuple[Workload, ...]]) -> None:
        """Say what must hold of the process, by selector; before `compile`.

        Raises PolicyUnsupportedError.
        """
        selectors: Dict[int, int] = {}
        for number, wanted in enumerate(workloads):
            if any(one.is_contained for one in wanted):
                self._contained.add(number)
            for one in wanted:
                mark = claim.bit(one)
                selectors[mark] = selectors.get(mark, 0) | 1 << number
        for mark, bits in selectors.items():
            self._filters.workload(bits, mark)

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
        of_host = [self._is_of_host(number) for number in range(len(selectors))]
        self._process.expect(zip(selectors, of_host))
        for number, selector in enumerate(selectors):
            self._selector(1 << number, selector, arguments, of_host[number])
            for match in selector.match_data:
                found = condition(match, data, BY_PLACE)
                places = tuple(data_at + place for place in found.arguments)
                self._condition(1 << number, found._replace(arguments=places))
            self._selector_of_return(1 << number, selector, return_argument, returned)
            own, known = self._source, (self._values.sockets, self._values.settable)
            action = action_of(selector, self._writer, own, *known)
            if own.overrides_later and overrides([selector]):
                action = put_off(action, self._writer, number if own.overrides_program else None)
            if self._process.notes_state(selector):
                noting = self._writer.action_flags["ACTION_NOTES_STATE"]
                action = action._replace(flags=action.flags | noting)
            actions.append(action)
        if not actions:
            actions.append(Action(self._writer.action_flags["ACTION_POST"]))
        self._values.steps |= self._steps_of(actions)
        if self._filters.searches or self._filters.return_searches:
            self._values.steps.add("STEP_SEARCH")
        if self._operations.of_return:
            self._values.steps.add("STEP_RETURN")
        self._expect_room()
        table = HookTable(
            tuple(self._values.values),
            tuple(self._filters.plain),
            tuple(self._filters.texts),
            tuple(actions),
            self._filters.context,
            tuple(self._filters.returns),
            reports_return=return_argument is not None
            or any(argument.return_copy for argument in arguments),
            sockets=tuple(self._values.sockets),
            bulk=self._values.bulk,
            steps=frozenset(self._values.steps),
            file_types=tuple(self._operations.files),
            operations=tuple(self._operations.rows),
            return_texts=tuple(self._filters.return_texts),
            searches=tuple(self._filters.searches),
            return_searches=tuple(self._filters.return_searches),
            return_operations=self._operations.of_return,
            policy=self._source.policy,
            tracks=self._source.tracks,
            filtered=self._values.filtered(),
            workloads=self._filters.workloads,
            returned=self._source.returned,
        )
        table = table._replace(steps=table.steps | self._writer.acting_steps(table))
        table = table._replace(spare_steps=self._spare_steps(table))
        return Compiled(table, tuple(self._values.reported))

    def _steps_of(self, actions: Sequence[Action]) -> Set[str]:
        flags = self._writer.action_flags
        stacks = flags["ACTION_KERNEL_STACK"] | flags["ACTION_USER_STACK"]
        shown = stacks if self._source.shows_stacks else 0
        needed = {STACK_STEP: shown, "STEP_SET": flags["ACTION_SET"]}
        return {step for step, bits in needed.items() for one in actions if one.flags & bits}

    def _expect_room(self) -> None:
        limits = self._writer.limits
        for count, limit, what in (
            (self._filters.count, "HOOK_FILTERS", "comparisons of its selectors"),
            (len(self._filters.texts), "HOOK_TEXT_FILTERS", "comparisons of texts"),
            (len(self._filters.return_texts), "HOOK_TEXT_FILTERS", "comparisons of texts"),
            (len(self._filters.returns), "HOOK_RETURN_FILTERS", "comparisons of what is returned"),
            (len(self._values.sockets), "HOOK_SOCKETS", "sockets"),
            (len(self._operations.files), "HOOK_FILE_TYPES", "files whose type is asked for"),
            (len(self._values.values), "HOOK_VALUES", "values, the executable included"),
        ):
            if count > limits[limit]:
                raise PolicyUnsupportedError(
                    f"a hook with {count} {what}; {limits[limit]} are supported"
                )

    def _spare_steps(self, table: HookTable) -> int:
        """How many of the programs that may follow one another a call of this hook needs not."""
        kinds, limits = self._writer.kinds, self._writer.limits
        inline = {kinds[name] for name in _READ_INLINE}
        needed = 1 + 2 * sum(value.kind not in inline for value in table.values)
        needed += 2 * bool(self._filters.count) + len(table.steps)
        # Programs that call themselves: values are read twice, first those that filters ask for.
        needed += 2 * (len(table.values) // limits["VALUES_AT_ONCE"])
        needed += max(len(table.texts), len(table.return_texts)) // limits["TEXTS_AT_ONCE"]
        if "STEP_BULK" in table.steps:
            needed += -(-limits["BULK_BYTES"] // limits["BULK_STEP_BYTES"])
        return max(_FOLLOWING - needed, 0)

    # --- selectors --------------------------------------------------------------------------

    def _is_of_host(self, number: int) -> bool:
        """Whether a selector leaves out only what is the host's: see policy/exclusions.py.

        Files of containers never are, so one that is for containers means their paths.
        """
        return not self._source.written_path and number not in self._contained

    def _selector(
        self, bit: int, selector: Selector, arguments: Sequence[Argument], of_host: bool
    ) -> None:
        self._process.add(bit, selector, of_host)
        for match in selector.match_args:
            self._condition(bit, condition(match, arguments, self._match_by))
        self._process.add_binaries(bit, selector, of_host)

    def _selector_of_return(
        self, bit: int, selector: Selector, argument: Optional[Argument], index: Optional[int]
    ) -> None:
        """Comparisons of what the function returns."""
        if selector.match_return_actions and argument is None:
            raise PolicyUnsupportedError("matchReturnActions of a hook without a return value")
        for match in selector.match_return_args:
            if argument is None or index is None:
                raise PolicyUnsupportedError("matchReturnArgs of a hook without a return value")
            found = condition(match, [argument], BY_EITHER)
            made = len(self._operations.rows), len(self._operations.files)
            with self._filters.of_return():
                places = tuple(index for _ in found.arguments)
                self._condition(bit, found._replace(arguments=places), returns=True)
            if made != (len(self._operations.rows), len(self._operations.files)):
                self._operations.of_return = True

    def _condition(self, bit: int, found: Condition, *, returns: bool = False) -> None:
        negated = found.operator.startswith("Not")
        operator = found.operator[3:] if negated else found.operator
        values = found.values
        if isinstance(values, Expression):
            values_of = dict(zip(values.arguments, found.arguments))
            number = self._operations.expression(values.tree, values_of.__getitem__)
            self._filters.numbers(bit, number, [(1, 1)], negated, 64, is_signed=False)
            return
        index = found.arguments[0]
        if found.kind in names.INTEGERS and isinstance(values, (Numbers, Spans)):
            bits, is_signed = names.INTEGERS[found.kind]
            lowest, highest = (-SIGN, SIGN - 1) if is_signed else (0, U64)
            if isinstance(values, Spans):
                spans = [*values.spans, *self._listed(values.lists)]
            elif operator == "Mask":
                self._filters.mask(bit, index, values.numbers, negated)
                return
            elif operator in {"GT", "GreaterThan"}:
                spans = [(min(values.numbers) + 1, highest)]
            elif operator in {"LT", "LessThan"}:
                spans = [(lowest, max(values.numbers) - 1)]
            else:
                spans = [(number, number) for number in values.numbers]
            self._filters.numbers(bit, index, spans, negated, max(bits, 32), is_signed)
            return
        if found.kind in SOCKETS and operator in _SOCKET_NUMBERS and isinstance(values, Spans):
            slot = self._values.sockets.index(index)
            base = self._writer.numbers["NUMBER_SOCKETS"]
            base += slot * self._writer.socket_numbers["SOCKET_NUMBERS"]
            number = base + self._writer.socket_numbers[_SOCKET_NUMBERS[operator]]
            self._filters.numbers(bit, number, values.spans, negated, 64, is_signed=False)
            return
        if found.kind in SOCKETS and operator in _ADDRESSES and isinstance(values, Networks):
            number = 2 * self._values.sockets.index(index) + _ADDRESSES[operator]
            self._filters.plain.append(
                Filter(
                    self._writer.comparisons["COMPARE_ADDRESS"],
                    number,
                    bit,
                    negated,
                    members=tuple(network(one) for one in values.networks),
                )
            )
            return
        if operator == "CapabilitiesGained":
            old, new = found.arguments
            number = self._operations.gained(new, old)
            self._filters.mask(bit, number, [U64], negated)
            return
        if operator == "FileType" and isinstance(values, Numbers):
            number = self._operations.file_type(index)
            spans = [(one, one) for one in values.numbers]
            self._filters.numbers(bit, number, spans, negated, 64, is_signed=False)
            return
        if found.kind in names.CAPABILITY_SETS and isinstance(values, Numbers):
            self._capabilities(bit, index, operator, values.numbers, negated)
            return
        if found.kind in _TEXTS and isinstance(values, Texts):
            if self._values.is_at_return(index) and not returns:
                raise PolicyUnsupportedError(f"matchArgs: {found.operator} with returnCopy")
            self._values.read_first(index)
            if names.OPERATORS[found.operator] == names.SUBSTRING:
                any_case = operator == "SubStringIgnCase"
                self._filters.inside(bit, index, values.texts, any_case=any_case)
            elif found.kind == "char_buf" and operator == "Equal":
                self._filters.whole(bit, index, values.texts, negated)
            else:
                self._filters.text(bit, index, operator, values.texts, negated)
            return
        raise PolicyUnsupportedError(f"matchArgs: {found.operator} for type {found.kind}")

    def _capabilities(
        self, bit: int, index: int, operator: str, masks: Sequence[int], negated: bool
    ) -> None:
        if operator == "Equal":
            spans = [(mask, mask) for mask in masks]
            self._filters.numbers(bit, index, spans, negated, 64, is_signed=False)
        elif operator == "Mask":
            self._filters.mask(bit, index, masks, negated)
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
