# SPDX-License-Identifier: Apache-2.0
"""What the kernel side is reported of a hook (struct hook of bpf/hook.h), as values of Python."""

from __future__ import annotations

from struct import Struct
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.layout import StructLayout, array_places, enum_values, struct_layout
from tetrapy.errors import LayoutError
from tetrapy.named import NamedTuple

_TIME_BYTES = 8
_STEP_BYTES = 4

Prefix = Tuple[int, bytes]  # bits that count, and at least so many bytes


class Value(NamedTuple):
    """A value that is read of each call; the numbers are those of bpf/hook.h."""

    kind: int
    source: int
    place: int = 0
    size: int = 0
    flags: int = 0
    length: int = 0
    most: int = 0
    path: Optional[MemberPath] = None  # with VALUE_RESOLVED


class MemberPath(NamedTuple):
    """The way from a pointer to a member: pointers are read at each of `steps`, then `last` added.

    All are offsets in bytes.
    """

    steps: Tuple[int, ...]
    last: int = 0


class Filter(NamedTuple):
    """A comparison that fails `selectors` (bits) where it does not hold."""

    comparison: int
    number: int
    selectors: int
    negated: bool = False
    joined: bool = False
    end: int = 0
    flip: int = 0
    ranges: Tuple[Tuple[int, int], ...] = ()
    members: Tuple[Prefix, ...] = ()  # of the set that is looked up


class Action(NamedTuple):
    """What is done with a call that the selector matches."""

    flags: int
    interval: int = 0  # ns


class HookTable(NamedTuple):
    """All that the kernel is told of one hook."""

    values: Tuple[Value, ...]
    plain: Tuple[Filter, ...]  # need nothing but numbers
    texts: Tuple[Filter, ...]
    actions: Tuple[Action, ...]  # one for each selector
    context: int = 0  # bits of the numbers of the process that filters look at
    returns: Tuple[Filter, ...] = ()  # of what the function returns: need nothing but numbers
    reports_return: bool = False  # a second record is made when the function returns
    sockets: Tuple[int, ...] = ()  # the values that are sockets or addresses of them


class Sizes(NamedTuple):
    """Of a map: bytes of a key and of a value, and how many entries it has."""

    key: int
    value: int
    entries: int


class HookWriter:
    """HookTable -> bytes of struct hook, by the layout that the object's BTF tells."""

    def __init__(self, btf: Btf) -> None:
        """Raises LayoutError when the object has other structures."""
        self.limits = enum_values(btf, "hook_limit")
        self.kinds = enum_values(btf, "value_kind")
        self.sources = enum_values(btf, "value_source")
        self.value_flags = enum_values(btf, "value_flag")
        self.numbers = enum_values(btf, "call_number")
        self.comparisons = enum_values(btf, "comparison")
        self.action_flags = enum_values(btf, "action_flag")
        self._hook = struct_layout(btf, "hook_head")
        self._value = struct_layout(btf, "hook_value")
        self._filter = struct_layout(btf, "hook_filter")
        self._action = struct_layout(btf, "hook_action")
        self._path = struct_layout(btf, "hook_path")
        self._places = array_places(btf, "hook")
        self._socket_values = array_places(btf, "hook_head")["socket_values"]
        self.socket_numbers = enum_values(btf, "socket_number")
        self.size = btf.size_of(_id(btf, "hook"))
        self.set_key = btf.size_of(_id(btf, "set_key"))
        # Sizes of keys and values, and entries.
        self.returning = Sizes(
            btf.size_of(_id(btf, "returning_key")),
            btf.size_of(_id(btf, "returning")),
            self.limits["RETURNING_CALLS"],
        )
        self.rates = Sizes(
            btf.size_of(_id(btf, "rate_key")), _TIME_BYTES, self.limits["RATE_CALLS"]
        )

    def written(self, table: HookTable, sets: Sequence[int]) -> bytes:
        """The bytes of a hook; `sets` are the slots of the filters' sets, in their order.

        Raises LayoutError when the table does not fit.
        """
        begins = table.plain + table.texts
        filters = begins + table.returns
        out = bytearray(self.size)
        head = {
            "values_count": len(table.values),
            "filters_count": len(begins),
            "plain_filters": len(table.plain),
            "selectors": (1 << len(table.actions)) - 1,
            "return_filters": len(table.returns),
            "context": table.context,
            "reports_return": int(table.reports_return),
            "sockets": len(table.sockets),
        }
        _pack(out, 0, self._hook, head)
        offset, count = self._socket_values
        if len(table.sockets) > count:
            raise LayoutError(f"{len(table.sockets)} sockets of a hook: there is room for {count}")
        out[offset : offset + len(table.sockets)] = bytes(table.sockets)
        slots = iter(sets)
        for name, layout, rows in (
            ("values", self._value, [_columns(value, "path") for value in table.values]),
            ("paths", self._path, [self._way(value.path) for value in table.values]),
            ("actions", self._action, [action._asdict() for action in table.actions]),
            ("filters", self._filter, [self._row(one, slots) for one in filters]),
        ):
            offset, count = self._places[name]
            if len(rows) > count:
                raise LayoutError(f"{len(rows)} {name} of a hook: there is room for {count}")
            for row in rows:
                _pack(out, offset, layout, row)
                offset += layout.size
        self._pack_steps(out, table)
        return bytes(out)

    def _pack_steps(self, out: bytearray, table: HookTable) -> None:
        most = self.limits["HOOK_STEPS"]
        for number, value in enumerate(table.values):
            steps = value.path.steps if value.path else ()
            if len(steps) > most:
                raise LayoutError(f"{len(steps)} pointers on the way to a member: {most} are")
            at = self._places["steps"][0] + number * most * _STEP_BYTES
            out[at : at + len(steps) * _STEP_BYTES] = Struct(f"<{len(steps)}I").pack(*steps)

    def _way(self, path: Optional[MemberPath]) -> Dict[str, int]:
        return {"count": len(path.steps), "last": path.last} if path else {}

    def _row(self, one: Filter, slots: Iterator[int]) -> Dict[str, int]:
        row = {
            "comparison": one.comparison,
            "number": one.number,
            "selectors": one.selectors,
            "negated": int(one.negated),
            "joined": int(one.joined),
            "end": one.end,
            "flip": one.flip,
            "set": next(slots) if one.members else 0,
        }
        ranges: List[Tuple[int, int]] = list(one.ranges)
        ranges += [(1, 0)] * (self.limits["HOOK_RANGES"] - len(ranges))  # empty
        for at, (low, high) in enumerate(ranges):
            row[f"low{at}"], row[f"high{at}"] = low, high
        return row


def _columns(row: Any, left_out: str) -> Dict[str, int]:
    return {name: value for name, value in row._asdict().items() if name != left_out}


def _pack(out: bytearray, offset: int, layout: StructLayout, row: Dict[str, int]) -> None:
    for name, value in row.items():
        member = layout.members.get(name)
        if member is None:
            raise LayoutError(f"struct {layout.name} has no {name}")
        data = Struct("<" + member.format).pack(value)
        at = offset + member.offset
        out[at : at + len(data)] = data


def _id(btf: Btf, name: str) -> int:
    found = btf.find(name, k.KIND_STRUCT)  # a map may have the name, too
    if found is None:
        raise LayoutError(f"the BTF has no struct {name}")
    return found.id
