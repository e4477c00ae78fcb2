# SPDX-License-Identifier: Apache-2.0
"""Filters on arguments as what must be compared: operator, type and values, all understood."""

from __future__ import annotations

from functools import partial
from typing import Callable, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union

from tetrapy.named import NamedTuple
from tetrapy.policy import names, values
from tetrapy.policy.expression import Expression
from tetrapy.policy.problems import expected, quoted
from tetrapy.policy.types import Argument, MatchArgs
from tetrapy.policy.values import Network, UnfitError

MAX_NUMBERS = 4
MAX_SUBSTRINGS = 100
_UINT64 = (1 << 64) - 1
_T = TypeVar("_T")


class Numbers(NamedTuple):
    """Numbers that the argument is compared with: GT, LT, Mask, file types, capabilities."""

    numbers: Tuple[int, ...]


class Spans(NamedTuple):
    """Ranges with both ends; a single number is one too. `lists` are names of spec.lists."""

    spans: Tuple[Tuple[int, int], ...]
    lists: Tuple[str, ...] = ()


class Texts(NamedTuple):
    """Bytes that the argument, or its beginning or end, is compared with."""

    texts: Tuple[bytes, ...]


class Networks(NamedTuple):
    """Addresses of both families."""

    networks: Tuple[Network, ...]


class Nothing(NamedTuple):
    """The operator takes no values."""


Values = Union[Numbers, Spans, Texts, Networks, Nothing, Expression]


class Condition(NamedTuple):
    """One filter: `arguments` are positions in the policy's list, `kind` the type of the first."""

    arguments: Tuple[int, ...]
    kind: str
    operator: str
    values: Values


class ConditionError(Exception):
    """A filter is refused; `at` is the number of the value, None for the filter itself."""

    def __init__(self, message: str, at: Optional[int] = None) -> None:
        super().__init__(message)
        self.at = at


BY_INDEX, BY_PLACE, BY_EITHER = "index", "place", "either"
"""What the index of a filter is: an index of args, a place in the list, or the first that fits."""


def condition(match: MatchArgs, arguments: Sequence[Argument], by: str = BY_INDEX) -> Condition:
    """What a filter of matchArgs compares. Raises ConditionError.

    `by`: BY_PLACE for matchData, BY_EITHER for tracepoints. Arguments of type auto must be given
    the type that the kernel tells first; their values are not read.
    """
    if match.operator == "CelExpr":
        if len(match.values) != 1:
            raise ConditionError("CelExpr takes one value, the expression")
        try:
            tree = Expression(match.values[0], [argument.type for argument in arguments])
        except UnfitError as err:
            raise ConditionError(f"{quoted(match.values[0])} {err}", 0) from None
        return Condition(tree.arguments, "", match.operator, tree)
    chosen = places(match, arguments, by)
    kind = arguments[chosen[0]].type
    if match.operator == "CapabilitiesGained":
        if len(chosen) != 2:
            raise ConditionError("CapabilitiesGained takes two args, the old set and the new one")
        for one in chosen:
            if arguments[one].type not in names.CAPABILITY_SETS:
                raise ConditionError(f"{_type(arguments[one].type)} is no set of capabilities")
        return Condition(chosen, kind, match.operator, Nothing())
    if kind == names.AUTO:
        return Condition(chosen[:1], kind, match.operator, Nothing())
    return Condition(
        chosen[:1], kind, match.operator, read_values(match.operator, kind, match.values)
    )


def places(match: MatchArgs, arguments: Sequence[Argument], by: str = BY_INDEX) -> Tuple[int, ...]:
    """Positions of what a filter compares, in the policy's list. Raises ConditionError."""
    given = match.args or ((match.index,) if by == BY_PLACE else ())
    for place in given:
        if place >= len(arguments):
            raise ConditionError(f"there is no element {place}: the list has {len(arguments)}")
    if given:
        return tuple(given)
    for place, argument in enumerate(arguments):
        if argument.index == match.index:
            return (place,)
    if by == BY_EITHER and match.index < len(arguments):
        return (match.index,)
    known = ", ".join(str(argument.index) for argument in arguments) or "none"
    raise ConditionError(f"index {match.index} is not among those of args: {known}")


def read_values(operator: str, kind: str, given: Tuple[str, ...]) -> Values:
    """What the values of an operator mean for a type of argument. Raises ConditionError."""
    return _READERS[names.OPERATORS[operator]](operator, kind, given)


def matches_nothing(operator: str, kind: str) -> bool:
    """Whether Tetragon takes the operator for a type that it does not compare with it."""
    group = names.OPERATORS[operator]
    if group in {names.PREFIX, names.POSTFIX}:
        return kind not in names.PREFIXED and kind != names.AUTO
    return group == names.SUBSTRING and kind not in names.TEXTS and kind != names.AUTO


def _each(given: Sequence[str], read: Callable[[str], _T]) -> Tuple[_T, ...]:
    out: List[_T] = []
    for at, value in enumerate(given):
        try:
            out.append(read(value))
        except UnfitError as err:
            raise ConditionError(f"{quoted(value)} {err}", at) from None
    return tuple(out)


def _type(kind: str) -> str:
    return f"the type {kind}"


def _few(given: Sequence[str]) -> None:
    if len(given) > MAX_NUMBERS:
        what = f"has {len(given)} values; at most {MAX_NUMBERS} are supported here"
        raise ConditionError(f"{what}: InMap and NotInMap take any number")


def _limits(operator: str, kind: str) -> Tuple[int, int]:
    """The least and the largest number that a value may be for a type."""
    if kind not in names.INTEGERS:
        raise ConditionError(f"{_type(kind)} does not support {operator}")
    bits, signed = names.INTEGERS[kind]
    # Narrow types are compared as 32 bits; a size may be written as a negative number of 32.
    bits = max(bits, 32)
    if kind == "size_t":
        return -(1 << 31), _UINT64
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def _equality(operator: str, kind: str, given: Tuple[str, ...]) -> Values:
    if kind in names.TEXTS:
        # Policies were written with and without the zero that ends a C string.
        strip = kind == "string"
        longest = values.MAX_TEXT
        return Texts(_each(given, partial(values.text, longest=longest, strip_zeroes=strip)))
    return _comparison(operator, kind, given)


def _comparison(operator: str, kind: str, given: Tuple[str, ...]) -> Values:
    _few(given)
    if kind in names.CAPABILITY_SETS:
        return Numbers(_each(given, values.capability_mask))
    least, largest = _limits(operator, kind)
    return Numbers(_each(given, partial(values.number, least=least, largest=largest)))


def _range(operator: str, kind: str, given: Tuple[str, ...]) -> Values:
    _few(given)
    least, largest = _limits(operator, kind)
    end = partial(values.number, least=least, largest=max(largest, (1 << 32) - 1))
    return Spans(_each(given, partial(values.span, read=end, turned=False)))


def _set(operator: str, kind: str, given: Tuple[str, ...]) -> Values:
    least, largest = _limits(operator, kind)
    if kind in names.INTEGERS and names.INTEGERS[kind][1]:
        least, largest = -(1 << 63), (1 << 63) - 1
    lists = tuple(one[len(names.LIST_PREFIX) :] for one in given if _is_list(one))
    if lists and names.INTEGERS[kind][0] < 64:
        raise ConditionError(f"lists of system calls need type syscall64, not {kind}")
    end = partial(values.decimal, least=least, largest=largest)

    def read(value: str) -> Optional[Tuple[int, int]]:
        if _is_list(value):
            return None
        if ":" in value:
            return values.span(value, end, turned=True)
        number = end(value)
        return number, number

    return Spans(tuple(one for one in _each(given, read) if one), lists)


def _is_list(value: str) -> bool:
    return value.startswith(names.LIST_PREFIX)


def _socket(operator: str, kind: str, also: Sequence[str] = ()) -> None:
    if kind not in names.SOCKETS and kind not in also:
        known = ", ".join(sorted({*names.SOCKETS, *also}))
        raise ConditionError(f"{operator} is for {known}; the argument's type is {kind}")
    if kind == "sockaddr" and operator in names.NOT_OF_SOCKADDR:
        raise ConditionError("a sockaddr supports SAddr, SPort, SPortPriv, their opposites, Family")


def _port(operator: str, kind: str, given: Tuple[str, ...]) -> Values:
    _socket(operator, kind)
    named: Mapping[str, int] = {}
    return Spans(_each(given, partial(values.numbered, names=named, largest=_UINT64)))


def _numbered(operator: str, kind: str, given: Tuple[str, ...]) -> Values:
    _socket(operator, kind, ["sockaddr_un"] if operator == "Family" else [])
    known = names.NUMBERS_BY_NAME[operator]
    return Spans(_each(given, partial(values.numbered, names=known, largest=_UINT64)))


def _address(operator: str, kind: str, given: Tuple[str, ...]) -> Values:
    _socket(operator, kind)
    return Networks(_each(given, values.network))


def _privileged(operator: str, kind: str, given: Tuple[str, ...]) -> Values:
    _socket(operator, kind)
    return Spans(((0, 1023),))


def _prefix(operator: str, kind: str, given: Tuple[str, ...]) -> Values:
    return Texts(_each(given, partial(values.text, longest=values.MAX_PREFIX)))


def _postfix(operator: str, kind: str, given: Tuple[str, ...]) -> Values:
    strip = kind != "char_buf"
    longest = values.MAX_POSTFIX
    return Texts(_each(given, partial(values.text, longest=longest, strip_zeroes=strip)))


def _substring(operator: str, kind: str, given: Tuple[str, ...]) -> Values:
    if len(given) > MAX_SUBSTRINGS:
        raise ConditionError(f"has {len(given)} values; at most {MAX_SUBSTRINGS} are supported")
    return Texts(_each(given, partial(values.text, longest=values.MAX_SUBSTRING)))


def _file_type(operator: str, kind: str, given: Tuple[str, ...]) -> Values:
    if kind not in names.FILES:
        raise ConditionError(f"{operator} is for file and path; the argument's type is {kind}")
    _few(given)
    for at, value in enumerate(given):
        if value not in names.FILE_TYPES:
            what = f"{quoted(value)} is no type of files; {expected(value, names.FILE_TYPES)}"
            raise ConditionError(what, at)
    return Numbers(tuple(names.FILE_TYPES[value] for value in given))


_READERS: Mapping[str, Callable[[str, str, Tuple[str, ...]], Values]] = {
    names.EQUALITY: _equality,
    names.PREFIX: _prefix,
    names.POSTFIX: _postfix,
    names.SUBSTRING: _substring,
    names.COMPARISON: _comparison,
    names.RANGE: _range,
    names.SET: _set,
    names.PORT: _port,
    names.PRIVILEGED: _privileged,
    names.ADDRESS: _address,
    names.NUMBERED: _numbered,
    names.FILE_TYPE: _file_type,
}
