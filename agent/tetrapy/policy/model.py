# SPDX-License-Identifier: Apache-2.0
"""What the selectors of a hook decide on a call, in plain Python: the kernel side's reference.

It knows nothing of how the kernel side compares; a property test holds both to the same answers.
"""

from __future__ import annotations

from typing import Mapping, Optional, Sequence, Tuple, Union

from tetrapy.named import NamedTuple
from tetrapy.policy import names
from tetrapy.policy.conditions import (
    BY_EITHER,
    BY_INDEX,
    Condition,
    Networks,
    Numbers,
    Spans,
    Texts,
    condition,
)
from tetrapy.policy.types import Argument, MatchBinaries, Selector


class Socket(NamedTuple):
    """What filters look at of a socket; addresses have 4 or 16 bytes, b"" where there is none."""

    family: int = 0
    protocol: int = 0
    state: int = 0
    source: bytes = b""
    destination: bytes = b""
    source_port: int = 0
    destination_port: int = 0


Known = Union[int, bytes, Socket, None]
"""A value; None for a path that is too deep to be read, on which each filter holds."""


class Call(NamedTuple):
    """A call of a hooked function, or a tracepoint that was hit."""

    values: Tuple[Known, ...]  # in the order of the hook's args
    returned: int = 0
    binary: bytes = b""  # path of the file that runs
    pid: int = 0
    namespace_pid: int = 0
    namespaces: Mapping[str, int] = {}  # inode numbers, by the names of policies
    capabilities: Mapping[str, int] = {}  # masks, by the kinds of policies


def first_match(
    selectors: Sequence[Selector],
    arguments: Sequence[Argument],
    call: Call,
    return_argument: Optional[Argument] = None,
    host_namespaces: Mapping[str, int] = {},
    by: str = BY_INDEX,
) -> Optional[int]:
    """The number of the first selector that matches; 0 where there are none, None if none does.

    Raises ConditionError for a filter that makes no sense, ValueError for one that is not known.
    """
    if not selectors:
        return 0
    for number, selector in enumerate(selectors):
        if _matches(selector, arguments, call, return_argument, host_namespaces, by):
            return number
    return None


def _matches(
    selector: Selector,
    arguments: Sequence[Argument],
    call: Call,
    return_argument: Optional[Argument],
    host: Mapping[str, int],
    by: str,
) -> bool:
    for match in selector.match_args:
        found = condition(match, arguments, by)
        if not holds(found, call.values[found.arguments[0]]):
            return False
    for match in selector.match_return_args:
        if return_argument is None:
            raise ValueError("matchReturnArgs of a hook without a return value")
        if not holds(condition(match, [return_argument], BY_EITHER), call.returned):
            return False
    for pids in selector.match_pids:
        pid = call.namespace_pid if pids.is_namespace_pid else call.pid
        if (pid in pids.values) == (pids.operator == "NotIn"):
            return False
    for one in selector.match_namespaces:
        wanted = {host[one.namespace] if v == names.HOST_NAMESPACE else int(v) for v in one.values}
        if (call.namespaces[one.namespace] in wanted) == (one.operator == "NotIn"):
            return False
    for caps in selector.match_capabilities:
        mask = sum(1 << names.CAPABILITIES_BY_NAME[value] for value in caps.values)
        if bool(call.capabilities[caps.type] & mask) == (caps.operator == "NotIn"):
            return False
    return all(_is_binary(match, call.binary) for match in selector.match_binaries)


def _is_binary(match: MatchBinaries, binary: bytes) -> bool:
    texts = [value.encode("utf-8", "surrogateescape") for value in match.values]
    operator, negated = _positive(match.operator)
    return _text(operator.replace("In", "Equal"), binary, texts) != negated


def _positive(operator: str) -> Tuple[str, bool]:
    return (operator[3:], True) if operator.startswith("Not") else (operator, False)


def holds(found: Condition, value: Known) -> bool:
    """Whether a value fulfils a filter. Raises ValueError for a filter that is not known."""
    if value is None:
        return True
    operator, negated = _positive(found.operator)
    return _compare(found, operator, value) != negated


def _compare(found: Condition, operator: str, value: Known) -> bool:
    values = found.values
    if isinstance(values, Texts) and isinstance(value, bytes):
        return _text(operator, value, values.texts)
    if isinstance(value, Socket):
        return _socket(found, operator, value)
    if isinstance(value, int) and isinstance(values, Spans):
        return any(low <= value <= high for low, high in values.spans)
    if isinstance(value, int) and isinstance(values, Numbers):
        return _number(operator, value, values.numbers)
    raise ValueError(f"{found.operator} for type {found.kind}")


def _number(operator: str, value: int, numbers: Sequence[int]) -> bool:
    if operator == "Mask":
        return any(value & number for number in numbers)
    if operator in {"GT", "GreaterThan"}:
        return any(value > number for number in numbers)
    if operator in {"LT", "LessThan"}:
        return any(value < number for number in numbers)
    return value in numbers


def _text(operator: str, value: bytes, texts: Sequence[bytes]) -> bool:
    if operator == "Prefix":
        return value.startswith(tuple(texts))
    if operator == "Postfix":
        return value.endswith(tuple(texts))
    if operator == "Equal":
        return value in texts
    raise ValueError(f"operator {operator} for texts")


_NUMBERS: Mapping[str, str] = {
    "Family": "family",
    "Protocol": "protocol",
    "State": "state",
    "SPort": "source_port",
    "SPortPriv": "source_port",
    "SportPriv": "source_port",
    "DPort": "destination_port",
    "DPortPriv": "destination_port",
}


def _socket(found: Condition, operator: str, value: Socket) -> bool:
    values = found.values
    if isinstance(values, Networks):
        address = value.source if operator == "SAddr" else value.destination
        return any(_is_in(address, one.address, one.bits) for one in values.networks)
    if isinstance(values, Spans):
        number = getattr(value, _NUMBERS[operator])
        return any(low <= number <= high for low, high in values.spans)
    raise ValueError(f"operator {operator} for sockets")


def _is_in(address: bytes, network: bytes, bits: int) -> bool:
    """Addresses of IPv4 that are written as IPv6 count as IPv4."""
    if len(address) == 16 and address.startswith(bytes(10) + b"\xff\xff"):
        address = address[12:]
    if len(address) != len(network) or not address:
        return False
    unused = 8 * len(network) - bits
    one, other = int.from_bytes(address, "big"), int.from_bytes(network, "big")
    return one >> unused == other >> unused
