# SPDX-License-Identifier: Apache-2.0
"""What the selectors of a hook decide on a call, in plain Python: the kernel side's reference.

It knows nothing of how the kernel side compares; a property test holds both to the same answers.
`tetrapy policy test` decides on recorded calls by it.
"""

from __future__ import annotations

import operator
from typing import Callable, FrozenSet, Mapping, Optional, Sequence, Tuple, Union

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
from tetrapy.policy.expression import BOOL, INT, INT32, UINT, UINT32, Expression, Node
from tetrapy.policy.types import (
    Argument,
    MatchBinaries,
    MatchCapabilities,
    MatchPIDs,
    Selector,
)


class Socket(NamedTuple):
    """What filters look at of a socket; addresses have 4 or 16 bytes, b"" where there is none."""

    family: int = 0
    protocol: int = 0
    state: int = 0
    source: bytes = b""
    destination: bytes = b""
    source_port: int = 0
    destination_port: int = 0


class File(NamedTuple):
    """What filters look at of a file."""

    path: bytes
    type: int = 0  # the bits of S_IFMT


class Elsewhere(bytes):
    """The path of a program in another root directory, mounts or user namespace than the host's.

    In, Prefix and Postfix go by the path; their opposites leave out only what is the host's file
    there. A path of plain bytes is.
    """

    def is_hosts(self) -> bool:
        """Whether the host has the same file there all the same."""
        return False


Known = Union[int, bytes, Socket, File, None]
"""A value; None for a path that is too deep to be read, on which each filter holds."""


class Call(NamedTuple):
    """A call of a hooked function, or a tracepoint that was hit."""

    values: Tuple[Known, ...]  # in the order of the hook's args
    data: Tuple[Known, ...] = ()  # in the order of the hook's data
    returned: Known = 0
    binary: bytes = b""  # path of the file that runs
    lineage: Tuple[bytes, ...] = ()  # all that it and its ancestors ran before they forked it
    parent_binary: bytes = b""  # when it was forked; before the last exec without a fork its own
    parent_lineage: Tuple[bytes, ...] = ()
    pid: int = 0
    pids: Tuple[int, ...] = ()  # its own, and those of its ancestors
    namespace_pid: int = 0
    namespace_pids: Tuple[int, ...] = ()  # the same in their own namespaces; initial: none
    namespaces: Mapping[str, int] = {}  # inode numbers, by the names of policies
    capabilities: Mapping[str, int] = {}  # masks, by the kinds of policies
    namespace_changes: FrozenSet[str] = frozenset()  # since its image began, or the last report
    capability_changes: Mapping[str, int] = {}


def first_match(
    selectors: Sequence[Selector],
    arguments: Sequence[Argument],
    call: Call,
    return_argument: Optional[Argument] = None,
    host_namespaces: Mapping[str, int] = {},
    by: str = BY_INDEX,
    data: Sequence[Argument] = (),
) -> Optional[int]:
    """The number of the first selector that matches; 0 where there are none, None if none does.

    Raises ConditionError for a filter that makes no sense, ValueError for one that is not known.
    """
    if not selectors:
        return 0
    for number, selector in enumerate(selectors):
        if matches(selector, arguments, call, return_argument, host_namespaces, by, data):
            return number
    return None


def matches(
    selector: Selector,
    arguments: Sequence[Argument],
    call: Call,
    return_argument: Optional[Argument],
    host: Mapping[str, int],
    by: str,
    data: Sequence[Argument] = (),
) -> bool:
    """Whether one selector matches. Raises as `first_match`."""
    for match in selector.match_args:
        found = condition(match, arguments, by)
        if not holds(found, *[call.values[place] for place in found.arguments]):
            return False
    for match in selector.match_data:
        found = condition(match, data, BY_PLACE)
        if not holds(found, *[call.data[place] for place in found.arguments]):
            return False
    for match in selector.match_return_args:
        if return_argument is None:
            raise ValueError("matchReturnArgs of a hook without a return value")
        if not holds(condition(match, [return_argument], BY_EITHER), call.returned):
            return False
    if not all(_is_pid(pids, call, host) for pids in selector.match_pids):
        return False
    for one in selector.match_namespaces:
        wanted = {host[one.namespace] if v == names.HOST_NAMESPACE else int(v) for v in one.values}
        if (call.namespaces[one.namespace] in wanted) == (one.operator == "NotIn"):
            return False
    for caps in (*selector.match_capabilities, *selector.match_capability_changes):
        if caps.is_namespace_capability and call.namespaces["User"] == host["User"]:
            return False
    for caps in selector.match_capabilities:
        if bool(call.capabilities[caps.type] & _mask(caps)) == (caps.operator == "NotIn"):
            return False
    for changes in selector.match_namespace_changes:
        listed = call.namespace_changes & set(changes.values)
        if not (listed if changes.operator == "In" else call.namespace_changes - listed):
            return False
    for caps in selector.match_capability_changes:
        changed = call.capability_changes[caps.type]
        ours = changed & _mask(caps)
        if not (ours if caps.operator == "In" else changed and not ours):
            return False
    ran = [(one, call.binary, call.lineage) for one in selector.match_binaries]
    ran += [
        (one, call.parent_binary, call.parent_lineage) for one in selector.match_parent_binaries
    ]
    return all(
        _is_binary(one, lineage if one.follow_children else (binary,))
        for one, binary, lineage in ran
    )


def _mask(match: MatchCapabilities) -> int:
    return sum(1 << names.CAPABILITIES_BY_NAME[value] for value in set(match.values))


def _is_pid(match: MatchPIDs, call: Call, host: Mapping[str, int]) -> bool:
    if not match.follow_forks:
        pid = call.namespace_pid if match.is_namespace_pid else call.pid
        return (pid in match.values) != (match.operator == "NotIn")
    if match.is_namespace_pid and call.namespaces["Pid"] == host["Pid"]:
        return False
    pids = call.namespace_pids if match.is_namespace_pid else call.pids
    return bool({*pids} & {*match.values}) != (match.operator == "NotIn")


def _is_binary(match: MatchBinaries, binaries: Sequence[bytes]) -> bool:
    texts = [value.encode("utf-8", "surrogateescape") for value in match.values]
    name, negated = _positive(match.operator)
    name = name.replace("In", "Equal")
    if negated:
        return not any(_text(name, one, texts) and _is_hosts(one) for one in binaries)
    return any(_text(name, one, texts) for one in binaries)


def _is_hosts(binary: bytes) -> bool:
    return not isinstance(binary, Elsewhere) or binary.is_hosts()


def _positive(name: str) -> Tuple[str, bool]:
    return (name[3:], True) if name.startswith("Not") else (name, False)


def holds(found: Condition, *given: Known) -> bool:
    """Whether the values of a filter's arguments fulfil it.

    Raises ValueError for a filter that is not known.
    """
    if isinstance(found.values, Expression):
        return bool(_evaluated(found.values.tree, dict(zip(found.arguments, given))))
    value, *more = given
    if found.operator == "CapabilitiesGained":
        old, new = (one if isinstance(one, int) else 0 for one in (value, *more))
        return new & ~old != 0
    if value is None:
        return True
    if isinstance(value, File):
        value = value.type if found.operator.endswith("FileType") else value.path
    name, negated = _positive(found.operator)
    return _compare(found, name, value) != negated


def _compare(found: Condition, name: str, value: Known) -> bool:
    values = found.values
    if isinstance(values, Texts) and isinstance(value, bytes):
        return _text(name, value, values.texts)
    if isinstance(value, Socket):
        return _socket(found, name, value)
    if isinstance(value, int) and isinstance(values, Spans):
        return any(low <= value <= high for low, high in values.spans)
    if isinstance(value, int) and isinstance(values, Numbers):
        return _number(name, value, values.numbers)
    raise ValueError(f"{found.operator} for type {found.kind}")


def _number(name: str, value: int, numbers: Sequence[int]) -> bool:
    if name == "Mask":
        return any(value & number for number in numbers)
    if name in {"GT", "GreaterThan"}:
        return any(value > number for number in numbers)
    if name in {"LT", "LessThan"}:
        return any(value < number for number in numbers)
    return value in numbers


def _text(name: str, value: bytes, texts: Sequence[bytes]) -> bool:
    if name == "Prefix":
        return value.startswith(tuple(texts))
    if name == "Postfix":
        return value.endswith(tuple(texts))
    if name == "Equal":
        return value in texts
    if name == "SubString":
        return any(text in value for text in texts)
    if name == "SubStringIgnCase":
        return any(text.lower() in value.lower() for text in texts)  # letters of ASCII
    raise ValueError(f"operator {name} for texts")


_BITS: Mapping[str, Tuple[int, bool]] = {
    INT: (64, True),
    UINT: (64, False),
    INT32: (32, True),
    UINT32: (32, False),
}
_FUNCTIONS: Mapping[str, Callable[..., int]] = {
    "+": operator.add,
    "-": operator.sub,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "not": operator.invert,
    "int32": lambda number: number,
    "uint32": lambda number: number,
    "&&": operator.and_,
    "||": operator.or_,
    "!": operator.not_,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _evaluated(node: Node, values: Mapping[int, Known]) -> int:
    """The value of an expression; numbers have as many bits as their type, and wrap round."""
    if node.operator == "number":
        return node.value
    if node.operator == "argument":
        value = values[node.value]
        return value if isinstance(value, int) else 0
    made = _FUNCTIONS[node.operator](*[_evaluated(one, values) for one in node.operands])
    if node.type == BOOL:
        return int(made)
    bits, is_signed = _BITS[node.type]
    made &= (1 << bits) - 1
    return made - (1 << bits) if is_signed and made >> bits - 1 else made


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


def _socket(found: Condition, name: str, value: Socket) -> bool:
    values = found.values
    if isinstance(values, Networks):
        address = value.source if name == "SAddr" else value.destination
        return any(_is_in(address, one.address, one.bits) for one in values.networks)
    if isinstance(values, Spans):
        number = getattr(value, _NUMBERS[name])
        return any(low <= number <= high for low, high in values.spans)
    raise ValueError(f"operator {name} for sockets")


def _is_in(address: bytes, network: bytes, bits: int) -> bool:
    """Addresses of IPv4 that are written as IPv6 count as IPv4."""
    if len(address) == 16 and address.startswith(bytes(10) + b"\xff\xff"):
        address = address[12:]
    if len(address) != len(network) or not address:
        return False
    unused = 8 * len(network) - bits
    one, other = int.from_bytes(address, "big"), int.from_bytes(network, "big")
    return one >> unused == other >> unused
