# SPDX-License-Identifier: Apache-2.0
"""How the values of a call travel, and what their decoders share."""

from __future__ import annotations

from typing import Any, Callable

from tetrapy.abi.btf import Btf
from tetrapy.abi.layout import enum_values, struct_layout, unpacker
from tetrapy.events.arguments import Argument
from tetrapy.named import NamedTuple
from tetrapy.sensors.policy.networks import FAMILIES, named

# As Tetragon says it.
_UNREADABLE = "Bad address for basic type"

_VALUE = ("index", "flags", "size", "detail")  # members of struct call_value

_FEW_FAMILIES = frozenset({"AF_INET", "AF_INET6", "AF_UNIX"})

Decode = Callable[[bytes, int, int], Any]  # of the bytes, the flags, the detail


class ValueAbi:
    """How values travel, by the BTF of the object whose programs read them."""

    def __init__(self, btf: Btf) -> None:
        """Raises LayoutError when the object has other structures."""
        self.btf = btf
        layout = struct_layout(btf, "call_value")
        self.size = layout.size
        self.unpack = unpacker(layout, _VALUE).unpack_from
        flags = enum_values(btf, "call_value_flag")
        self.error = flags["CALL_VALUE_ERROR"]
        self.cut = flags["CALL_VALUE_CUT"]
        self.partial = flags["CALL_VALUE_PARTIAL"]
        self.deleted = flags["CALL_VALUE_DELETED"]
        self.abstract = flags["CALL_VALUE_ABSTRACT"]
        self.unpack_socket = unpacker(struct_layout(btf, "call_socket"), Socket._fields).unpack_from


class Socket(NamedTuple):
    """struct call_socket"""

    source: bytes
    destination: bytes
    cookie: int
    mark: int
    priority: int
    family: int
    type: int
    protocol: int
    source_port: int
    destination_port: int
    state: int


class Wanted(NamedTuple):
    """One value of a hook, for the makers of decoders."""

    abi: ValueAbi
    type: str
    label: str
    is_tracepoint: bool

    def one(self, member: str, value: Any) -> Argument:
        """An argument of the event that sets one member."""
        return Argument(member, value, self.label)

    @property
    def error(self) -> Argument:
        """What is shown of a value that could not be read."""
        return self.one("error_arg", _UNREADABLE)

    def family(self, number: int) -> str:
        """The name of an address family; Tetragon names few in some places, and no others."""
        family = named(FAMILIES, number)
        return family if not self.is_tracepoint or family in _FEW_FAMILIES else ""
