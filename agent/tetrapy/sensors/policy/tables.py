# SPDX-License-Identifier: Apache-2.0
"""What the kernel side is reported of a hook (struct hook of bpf/hook.h), as values of Python."""

from __future__ import annotations

from struct import Struct
from typing import Any, Dict, FrozenSet, Iterator, Optional, Sequence, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.layout import StructLayout, array_places, enum_values, struct_layout
from tetrapy.errors import LayoutError
from tetrapy.named import NamedTuple
from tetrapy.sensors.policy.counts import CountsLayout

_TIME_BYTES = _COUNT_BYTES = 8
_STEP_BYTES = 4
_PID = Struct("=I")
# Members of a filter as they are in the kernel.
_ROW = frozenset("comparison number selectors negated joined end last telling flip".split())
_AT_CALL = "OVERRIDE NOTIFY CLEANUP TRACK UNTRACK SET".split()  # flags of actions

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
    """The way to a member: pointers are read at each of `steps`, then `last` added: bytes."""

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
    last: int = 0  # place of the last byte of the longest text
    telling: int = 0  # place of the byte that is looked at first
    flip: int = 0
    ranges: Tuple[Tuple[int, int], ...] = ()
    members: Tuple[Prefix, ...] = ()  # of the set that is looked up
    says: Tuple[int, ...] = ()  # what each member says; none: it is there


class Action(NamedTuple):
    """What is done with a call that the selector matches."""

    flags: int
    interval: int = 0  # ns
    signals: int = 0  # a byte for each
    return_signals: int = 0
    error: int = 0
    notify_error: int = 0
    notify_signal: int = 0
    socket: int = 0  # its number among those of the hook
    set_argument: int = 0  # the number of a value in the memory of the process
    set_value: int = 0


class Operation(NamedTuple):
    """A number that is made of two others; the right one may be a constant."""

    operation: int
    to: int
    left: int
    right: int = 0
    constant_mask: int = 0  # all bits: the right one is `constant`
    constant: int = 0


class HookTable(NamedTuple):
    """All that the kernel is told of one hook."""

    values: Tuple[Value, ...]
    plain: Tuple[Filter, ...]  # need nothing but numbers
    texts: Tuple[Filter, ...]
    actions: Tuple[Action, ...]  # one for each selector
    context: int = 0  # bits of the numbers of the process that filters look at
    returns: Tuple[Filter, ...] = ()  # of what the function returns: need nothing but numbers
    return_texts: Tuple[Filter, ...] = ()
    searches: Tuple[Filter, ...] = ()  # look into texts
    return_searches: Tuple[Filter, ...] = ()
    return_operations: bool = False  # operations make numbers of what is returned
    spare_steps: int = 0  # programs that what is long may take beyond those of any call

    @property
    def filters(self) -> Tuple[Filter, ...]:
        """All, in the order in which the kernel side finds them."""
        begins, returns = self.plain + self.texts, self.returns + self.return_texts
        return begins + returns + self.searches + self.return_searches

    reports_return: bool = False  # a second record is made when the function returns
    sockets: Tuple[int, ...] = ()  # the values that are sockets, addresses of them, or packets
    bulk: Optional[int] = None  # the value that may be larger than a record
    steps: FrozenSet[str] = frozenset()  # of bpf/call.h, beside those that all hooks need
    file_types: Tuple[int, ...] = ()  # the values that are files whose type is asked for
    operations: Tuple[Operation, ...] = ()
    policy: int = 0  # its number
    tracks: bool = False  # the policy tracks sockets
    filtered: Tuple[int, int] = (0, 0)  # first_path and filtered_end of bpf/hook.h
    workloads: bool = False  # filters look at the marks of workloads
    returned: str = ""  # TrackSock, UntrackSock: what is done with a socket that is returned


class ImageRow(NamedTuple):
    """struct image of bpf/lineage.h."""

    start: int
    marks: int = 0
    followed: int = 0
    parent_marks: int = 0
    parent_followed: int = 0
    capabilities: Tuple[int, ...] = (0, 0, 0)  # permitted, effective, inheritable
    namespaces: Tuple[int, ...] = ()  # inode numbers; none: they are not known
    forked: int = 0  # 1: no exec since the fork
    share: int = 0  # of the map: of whom the kernel side noted it


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
        self.operations = enum_values(btf, "operation")
        self.action_flags = enum_values(btf, "action_flag")
        self._acts = enum_values(btf, "acts_flag")
        self.counts = CountsLayout(btf)
        self._hook = struct_layout(btf, "hook_head")
        self._value = struct_layout(btf, "hook_value")
        self._filter = struct_layout(btf, "hook_filter")
        self._action = struct_layout(btf, "hook_action")
        self._operation = struct_layout(btf, "hook_operation")
        self._path = struct_layout(btf, "hook_path")
        self._places = array_places(btf, "hook")
        self._head_places = array_places(btf, "hook_head")
        self.socket_numbers = enum_values(btf, "socket_number")
        self.size = btf.size_of(_id(btf, "hook"))
        self.set_key = btf.size_of(_id(btf, "set_key"))
        # Sizes of keys and values, and entries.
        self.returning = self._sizes(btf, "returning", "RETURNING_CALLS")
        self.share_counts = Sizes(4, _COUNT_BYTES, 2 * (self.limits["OWNER_SHARES"] + 1))
        self._image = struct_layout(btf, "image_head")
        self._image_places = array_places(btf, "image")
        size = btf.size_of(_id(btf, "image"))
        self.images = Sizes(_PID.size, size, self.limits["LINEAGE_PROCESSES"])
        self.image_counts = Sizes(4, _COUNT_BYTES, self.limits["OWNER_SHARES"] + 1)
        self.enforcements = self._sizes(btf, "enforcement", "ENFORCEMENTS")
        size = btf.size_of(_id(btf, "tracked_set"))
        self.tracked = Sizes(4, size, self.limits["TRACKED_SETS"])
        self.workload = struct_layout(btf, "workload")
        self.workloads = Sizes(8, self.workload.size, self.limits["WORKLOAD_CGROUPS"])
        size = btf.size_of(_id(btf, "rate_key"))
        self.rates = Sizes(size, _TIME_BYTES, self.limits["RATE_CALLS"])

    def _sizes(self, btf: Btf, value: str, limit: str) -> Sizes:
        key, kept = (btf.size_of(_id(btf, name)) for name in (f"{value}_key", value))
        return Sizes(key, kept, self.limits[limit])

    def written(self, table: HookTable, sets: Sequence[int]) -> bytes:
        """The bytes of a hook; `sets` are the slots of the filters' sets, in their order.

        Raises LayoutError when the table does not fit.
        """
        out = bytearray(self.size)
        texts_end = len(table.plain + table.texts + table.returns + table.return_texts)
        head = {
            "values_count": len(table.values),
            "filters_count": len(table.plain) + len(table.texts),
            "plain_filters": len(table.plain),
            "selectors": (1 << len(table.actions)) - 1,
            "return_filters": len(table.returns),
            "return_texts_end": texts_end,
            "searches_end": texts_end + len(table.searches),
            "return_searches_end": len(table.filters),
            "reads_texts": int(bool(table.texts + table.searches))
            | int(bool(table.return_texts + table.return_searches)) << 1,
            "return_operations": int(table.return_operations),
            "spare_steps": table.spare_steps,
            "context": table.context,
            "reports_return": int(table.reports_return),
            "file_types": len(table.file_types),
            "operations": len(table.operations),
            "sockets": len(table.sockets),
            "bulk": 0 if table.bulk is None else table.bulk + 1,
            "packets": int("STEP_PACKET" in table.steps),
            **dict(zip(("first_path", "filtered_end"), table.filtered)),
            "acts": self._acts_of(table),
            "policy": table.policy,
            "workloads": int(table.workloads),
            "matches_at_return": int(
                bool(table.returns + table.return_texts + table.return_searches)
            ),
        }
        _pack(out, 0, self._hook, head)
        for name, values in (
            ("socket_values", table.sockets),
            ("file_values", table.file_types),
        ):
            offset, count = self._head_places[name]
            if len(values) > count:
                raise LayoutError(f"{len(values)} {name} of a hook: there is room for {count}")
            out[offset : offset + len(values)] = bytes(values)
        slots = iter(sets)
        for name, layout, rows in (
            ("values", self._value, [_columns(value, "path") for value in table.values]),
            ("paths", self._path, [self._way(value.path) for value in table.values]),
            ("actions", self._action, [action._asdict() for action in table.actions]),
            ("operations", self._operation, [one._asdict() for one in table.operations]),
            ("filters", self._filter, [self._row(one, slots) for one in table.filters]),
        ):
            offset, count = self._places[name]
            if len(rows) > count:
                raise LayoutError(f"{len(rows)} {name} of a hook: there is room for {count}")
            for row in rows:
                _pack(out, offset, layout, row)
                offset += layout.size
        self._pack_steps(out, table)
        return bytes(out)

    def _acts_of(self, table: HookTable) -> int:
        flags, acts = self.action_flags, 0
        at_call = sum(flags[f"ACTION_{name}"] for name in _AT_CALL)
        for action in table.actions:
            if action.signals or action.flags & at_call:
                acts |= self._acts["ACTS_AT_CALL"]
            if action.flags & flags["ACTION_SET"]:
                acts |= self._acts["ACTS_SET"]
            if action.return_signals or action.flags & flags["ACTION_RETURN_QUIET"]:
                acts |= self._acts["ACTS_AT_RETURN"]
        if table.returned:
            done = "TRACK" if table.returned == "TrackSock" else "UNTRACK"
            acts |= self._acts["ACTS_AT_RETURN"] | self._acts[f"ACTS_{done}_RETURNED"]
        if table.tracks and table.sockets:
            acts |= self._acts["ACTS_FOR_OWNER"]
        both = self._acts["ACTS_AT_CALL"] | self._acts["ACTS_AT_RETURN"]
        # What is done at the return is made ready at the call.
        return acts | (both if table.reports_return else self._acts["ACTS_AT_CALL"]) if acts else 0

    def acts(self, table: HookTable) -> bool:
        """Whether it does more than reporting."""
        return self._acts_of(table) != 0

    def acting_steps(self, table: HookTable) -> FrozenSet[str]:
        """The steps of bpf/call.h that it takes for that."""
        acts = self._acts_of(table)
        steps = {"STEP_ACT": acts, "STEP_TRACK": acts & self._acts["ACTS_ON_SOCKETS"]}
        return frozenset(step for step, bits in steps.items() if bits)

    def pid(self, pid: int) -> bytes:
        """The key of an image."""
        return _PID.pack(pid)

    def image(self, row: ImageRow) -> bytes:
        """The bytes of an image."""
        out = bytearray(self.images.value)
        columns = row._asdict()
        for name, form in (("capabilities", "Q"), ("namespaces", "I")):
            numbers = columns.pop(name)
            offset, count = self._image_places[name]
            packing = Struct(f"<{count}{form}")
            packed = packing.pack(*numbers[:count], *[0] * (count - len(numbers)))
            out[offset : offset + packing.size] = packed
        _pack(out, 0, self._image, columns)
        return bytes(out)

    def image_row(self, data: bytes) -> ImageRow:
        """What the bytes of an image say."""
        columns: Dict[str, Any] = {}
        for name, form in (("capabilities", "Q"), ("namespaces", "I")):
            offset, count = self._image_places[name]
            columns[name] = Struct(f"<{count}{form}").unpack_from(data, offset)
        for name in set(ImageRow._fields) - set(columns):
            member = self._image.members[name]
            (columns[name],) = Struct("<" + member.format).unpack_from(data, member.offset)
        return ImageRow(**columns)

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
        row = {name: int(value) for name, value in one._asdict().items() if name in _ROW}
        row["set"] = next(slots) if one.members else 0
        unused = self.limits["HOOK_RANGES"] - len(one.ranges)
        ranges = [*one.ranges, *[(1, 0)] * unused]  # empty
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
