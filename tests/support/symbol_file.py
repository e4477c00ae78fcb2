# SPDX-License-Identifier: Apache-2.0
"""Writes a kernel's BTF as a symbol file of Volatility 3, as dwarf2json would of its DWARF."""

from __future__ import annotations

import base64
import json
from typing import Any

from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf

Document = dict[str, dict[str, Any]]

_COMPOSITES = {k.KIND_STRUCT: "struct", k.KIND_UNION: "union"}
_ENUMS = (k.KIND_ENUM, k.KIND_ENUM64)


def document(btf: Btf, banner: str = "") -> Document:
    """The symbol file of a kernel.

    As in dwarf2json: typedefs and qualifiers vanish, but an anonymous struct that has a typedef is
    called by its name; other anonymous types have made-up names; structs and unions share names.
    """
    names = {
        btf.resolve(found.id).id: found.name
        for found in btf
        if found.kind == k.KIND_TYPEDEF and not btf.resolve(found.id).name
    }
    made: Document = {
        "metadata": {"linux": {}, "producer": {"name": "test"}, "format": "6.2.0"},
        "base_types": {
            "void": {"size": 0, "signed": False, "kind": "void", "endian": "little"},
            "pointer": {"size": 8, "signed": False, "kind": "int", "endian": "little"},
        },
        "user_types": {},
        "enums": {},
        "symbols": {"linux_banner": {"address": 1}},
    }
    if banner:
        data = base64.b64encode(banner.encode() + b"\0").decode()
        made["symbols"]["linux_banner"]["constant_data"] = data

    def name_of(type_id: int) -> str:
        found = btf.type(type_id)
        return found.name or names.get(type_id, f"unnamed_{type_id:016x}")

    def words(type_id: int) -> dict[str, Any]:
        found = btf.resolve(type_id)
        if found.kind == k.KIND_VOID:
            return {"kind": "base", "name": "void"}
        if found.kind in (k.KIND_INT, k.KIND_FLOAT):
            return {"kind": "base", "name": found.name}
        if found.kind == k.KIND_PTR:
            return {"kind": "pointer", "subtype": words(found.ref)}
        if found.kind == k.KIND_ARRAY:
            element, count = btf.array(found)
            return {"kind": "array", "count": count, "subtype": words(element)}
        if found.kind == k.KIND_FUNC_PROTO:
            return {"kind": "function"}
        if found.kind in _ENUMS:
            return {"kind": "enum", "name": name_of(found.id)}
        kind = _COMPOSITES.get(found.kind, "union" if found.kind_flag else "struct")
        return {"kind": kind, "name": name_of(found.id)}

    def fields(type_id: int) -> dict[str, Any]:
        listed = {}
        for number, (name, member_type, offset, bits) in enumerate(btf.members(btf.type(type_id))):
            described = words(member_type)
            if bits:
                described = {"kind": "bitfield", "bit_position": offset % 8, "bit_length": bits,
                             "type": described}  # fmt: skip
            field = {"type": described, "offset": offset // 8}
            if not name:
                field["anonymous"] = True
            listed[name or f"unnamed_field_{number:x}"] = field
        return dict(sorted(listed.items()))

    for found in btf:
        if found.kind in (k.KIND_INT, k.KIND_FLOAT):
            encoding = btf.integer(found).encoding if found.kind == k.KIND_INT else 0
            kind = {k.INT_CHAR: "char", k.INT_BOOL: "bool"}.get(encoding & 6, "int")
            made["base_types"][found.name] = {
                "size": found.ref,
                "signed": bool(encoding & k.INT_SIGNED),
                "kind": kind if found.kind == k.KIND_INT else "float",
                "endian": "little",
            }
        elif found.kind in _COMPOSITES:
            made["user_types"][name_of(found.id)] = {
                "size": found.ref,
                "fields": fields(found.id),
                "kind": _COMPOSITES[found.kind],
            }
        elif found.kind in _ENUMS:
            constants = dict(btf.enumerators(found))
            made["enums"][name_of(found.id)] = {"size": found.ref, "base": "int",
                                                "constants": constants}  # fmt: skip
    return made


def symbol_file(btf: bytes, banner: str = "") -> bytes:
    """The text of a symbol file of a kernel with this BTF and banner."""
    return json.dumps(document(Btf(btf), banner), indent=1).encode()
