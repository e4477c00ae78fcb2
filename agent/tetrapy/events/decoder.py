# SPDX-License-Identifier: Apache-2.0
"""Bytes of a record -> typed record, built once from the BPF object's own BTF."""

from __future__ import annotations

from functools import partial
from struct import Struct
from typing import Any, Callable, Dict, List, Type

from tetrapy.abi.btf import Btf
from tetrapy.abi.layout import enum_values, struct_layout, union_members, unpacker
from tetrapy.errors import LayoutError
from tetrapy.events.records import (
    HEADER_FIELDS,
    ArgsRecord,
    CallRecord,
    ContextRecord,
    ExecRecord,
    ExitRecord,
    FileRecord,
    ForkRecord,
    ThrottleRecord,
)
from tetrapy.named import NamedTuple

_RECORDS: Dict[str, Any] = {
    "exec": ExecRecord,
    "args": ArgsRecord,
    "fork": ForkRecord,
    "exit": ExitRecord,
    "throttle": ThrottleRecord,
    "call": CallRecord,
}


class RecordDecoder(NamedTuple):
    """How one kind of record is read."""

    kind: int  # enum event_kind
    size: int  # bytes of the fixed structure; variable parts begin here
    unpack: Callable[..., Any]  # Struct.unpack_from: takes a buffer, returns a tuple
    make: Callable[[Any], Any]  # that tuple -> typed record


class EventAbi:
    """Everything that crosses from the kernel: kinds, decoders and shared constants."""

    def __init__(self, btf: Btf) -> None:
        """Build every decoder.

        Raises LayoutError when a kind has no class, a class has no kind, or a field is missing.
        """
        kinds = enum_values(btf, "event_kind")
        members = union_members(btf, "event")
        unknown = sorted(set(members) ^ set(_RECORDS))
        if unknown:
            raise LayoutError(
                f"event kinds {', '.join(unknown)} are known on one side only: union event has "
                f"{', '.join(sorted(members))}; this agent has {', '.join(sorted(_RECORDS))}"
            )
        self.decoders: Dict[str, RecordDecoder] = {}
        for name, struct_name in members.items():
            enumerator = "EVENT_" + name.upper()
            if enumerator not in kinds:
                raise LayoutError(f"enum event_kind has no {enumerator}")
            layout = struct_layout(btf, struct_name)
            fields = _field_names(_RECORDS[name])
            self.decoders[name] = RecordDecoder(
                kinds[enumerator],
                layout.size,
                unpacker(layout, fields).unpack_from,
                partial(tuple.__new__, _RECORDS[name]),
            )
        context = struct_layout(btf, "exec_context")
        self.context_size = context.size
        self.unpack_context = unpacker(context, ContextRecord._fields).unpack_from
        file = struct_layout(btf, "exec_file")
        self.file_size = file.size
        self.unpack_file = unpacker(file, FileRecord._fields).unpack_from
        header = struct_layout(btf, "event_header")
        self.kind_offset = header.members["kind"].offset
        self.ktime_of = _reader(header.members["ktime"].offset)
        self.kind_names: List[str] = [""] * kinds["EVENT_KINDS"]
        for name, decoder in self.decoders.items():
            self.kind_names[decoder.kind] = name
        self.exec_flags = enum_values(btf, "exec_flag")
        self.limits = enum_values(btf, "event_limit")
        self.areas = enum_values(btf, "args_area")
        self.privileges = enum_values(btf, "exec_privilege")
        self.file_flags = enum_values(btf, "file_flag")


def _field_names(record: Type[Any]) -> List[str]:
    return ["header." + name if name in HEADER_FIELDS else name for name in record._fields]


def _reader(offset: int) -> Callable[[bytes], int]:
    unpack_from = Struct("<Q").unpack_from

    def read(record: bytes) -> int:
        return int(unpack_from(record, offset)[0])

    return read
