# SPDX-License-Identifier: Apache-2.0
"""BTF out of a symbol file of Volatility 3: JSON that dwarf2json makes of a kernel's DWARF.

Format (ISF, volatility3/schemas): `base_types`, `user_types` (structs and unions) and `enums` by
name, and `symbols`, of which `linux_banner` has the kernel's own banner.  Types refer to each other
by kind and name.  What was anonymous in C has a made-up name, what was a typedef is what it stood
for, and prototypes of functions are not there.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Dict, List, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf_writer import BtfWriter, MemberSpec
from tetrapy.btf.harvest import limits
from tetrapy.errors import FormatError
from tetrapy.json_codec import loads

_MARKS = (b'"user_types"', b'"base_types"')
_COMPOSITES = {"struct": k.KIND_STRUCT, "class": k.KIND_STRUCT, "union": k.KIND_UNION}
_UNNAMED = re.compile(r"unnamed_[0-9a-f]{16}")
_ENCODINGS = {"char": k.INT_CHAR, "bool": k.INT_BOOL}
# A type in the words of ISF: pointer to array of ...
_MAX_DEPTH = 32
_MAX_NAME = 511
_POINTER_SIZE = 8


class NotLinuxError(FormatError):
    """JSON, but not the symbols of a Linux kernel."""


def is_isf(head: bytes) -> bool:
    """Whether the first bytes of a file may be those of a symbol file: those of a JSON object."""
    return head.lstrip()[:1] == b"{"


def read_isf(data: bytes) -> Tuple[bytes, bytes]:
    """The BTF of a kernel's symbol file, and what its constant linux_banner holds (or nothing).

    FormatError: damaged, above a limit, of a machine that is not 64-bit little-endian;
    NotLinuxError.
    """
    if not all(mark in data for mark in _MARKS):
        raise NotLinuxError("is JSON, but no symbol file of Volatility 3")
    if len(data) > limits.ISF:
        raise FormatError(f"{len(data) >> 20} MiB of JSON, the limit is {limits.ISF >> 20}")
    try:
        document = loads(data)
    except ValueError as err:
        raise FormatError(f"the JSON of the symbol file is damaged: {err}") from err
    for system in ("windows", "mac"):
        if system in _object(document, "metadata"):
            raise NotLinuxError(f"is a symbol file of {system}, not of Linux")
    if "task_struct" not in _object(document, "user_types"):
        raise NotLinuxError("is a symbol file without struct task_struct: no kernel's")
    return _Conversion(document).btf(), _banner(_object(document, "symbols"))


def _banner(symbols: Dict[str, Any]) -> bytes:
    """The data of linux_banner; none where the file has only its address."""
    symbol = symbols.get("linux_banner")
    text = symbol.get("constant_data") if isinstance(symbol, dict) else None
    try:
        return base64.b64decode(text) if isinstance(text, str) else b""
    except (binascii.Error, ValueError) as err:
        raise FormatError(f"the symbol file's linux_banner is damaged: {err}") from err


class _Conversion:
    """One symbol file on its way to BTF."""

    def __init__(self, document: Dict[str, Any]) -> None:
        self._base_types = _object(document, "base_types")
        self._user_types = _object(document, "user_types")
        self._enums = _object(document, "enums")
        self._writer = BtfWriter()
        self._ids: Dict[str, int] = {}
        self._base_ids: Dict[str, int] = {}
        self._enum_ids: Dict[str, int] = {}

    def btf(self) -> bytes:
        """All types: names first, so that they can refer to each other."""
        for name, found in self._base_types.items():
            self._base_ids[name] = self._base(name, found)
        for name, found in self._enums.items():
            self._enum_ids[name] = self._enum(name, found)
        for name in self._user_types:
            self._ids[name] = self._writer.reserve()
        for name, found in self._user_types.items():
            self._composite(name, found)
        return self._writer.build()

    def _base(self, name: str, found: Any) -> int:
        kind, size = _text(found, "kind", name), _number(found, "size", name, 1 << 16)
        if found.get("endian", "little") != "little":
            raise FormatError(f"the base type {name} is big-endian: x86_64 and arm64 are read here")
        if name == "pointer" and size != _POINTER_SIZE:
            raise FormatError(f"its pointers have {size} bytes: x86_64 and arm64 are read here")
        if kind == "void" or not size:
            return 0
        if kind == "float":
            return self._writer.add(k.KIND_FLOAT, _name(name), size)
        encoding = _ENCODINGS.get(kind, 0) | (k.INT_SIGNED if found.get("signed") else 0)
        word = encoding << 24 | min(8 * size, 128)
        return self._writer.add(k.KIND_INT, _name(name), size, [word])

    def _enum(self, name: str, found: Any) -> int:
        size = _number(found, "size", name, 8)
        values = list(_object(found, "constants").items())
        if len(values) > limits.MEMBERS:
            raise FormatError(f"enum {name} has {len(values)} values")
        for text, value in values:
            _name(text)
            if not isinstance(value, int) or not -(1 << 63) <= value < 1 << 64:
                raise FormatError(f"enum {name} has {value!r:.40} for the value of {text}")
        signed = any(value < 0 for _, value in values)
        wide = [(text, value & (1 << 64) - 1) for text, value in values]
        return self._writer.enum(_bare(name), size, signed, wide)

    def _composite(self, name: str, found: Any) -> None:
        kind = _COMPOSITES.get(_text(found, "kind", name), 0)
        if not kind:
            raise FormatError(f"the type {name} is a {found['kind']!r:.40}")
        size = _number(found, "size", name, limits.TYPE)
        fields = _object(found, "fields")
        if len(fields) > limits.MEMBERS:
            raise FormatError(f"struct {name} has {len(fields)} members")
        members: List[MemberSpec] = []
        for text, field in fields.items():
            where = f"{name}.{text}"
            # dwarf2json leaves out what it cannot describe.
            kind_of_it = field.get("type") if isinstance(field, dict) else None
            if kind_of_it is None:
                continue
            offset, bits = 8 * _number(field, "offset", where, limits.TYPE), 0
            if _text(kind_of_it, "kind", where) == "bitfield":
                bits = _number(kind_of_it, "bit_length", where, 64)
                offset += _number(kind_of_it, "bit_position", where, 1 << 16)
                kind_of_it = kind_of_it.get("type")
            type_id = self._type(kind_of_it, where, 0)
            members.append(("" if field.get("anonymous") else _name(text), type_id, offset, bits))
        if any(bits for *_, bits in members) and any(at >> 24 for _, _, at, _ in members):
            raise FormatError(f"struct {name} has bit fields and members beyond 2 MiB")
        members.sort(key=lambda member: member[2])
        self._writer.composite(kind, _bare(name), size, members, self._ids[name])

    def _type(self, found: Any, where: str, depth: int) -> int:
        """The id of a type in the words of ISF; of a forward declaration if it is not there."""
        if depth > _MAX_DEPTH:
            raise FormatError(f"the type of {where} has more than {_MAX_DEPTH} types inside it")
        kind = _text(found, "kind", where)
        if kind == "pointer":
            return self._writer.add(k.KIND_PTR, ref=self._type(_sub(found), where, depth + 1))
        if kind == "array":
            count = _number(found, "count", where, limits.TYPE)
            return self._writer.array(self._type(_sub(found), where, depth + 1), count)
        if kind == "function":
            return self._writer.add(k.KIND_FUNC_PROTO)
        name = _text(found, "name", where)
        if kind == "base":
            return self._known(self._base_ids, "base type", name, where)
        if kind == "enum":
            return self._known(self._enum_ids, "enum", name, where)
        if kind not in _COMPOSITES:
            raise FormatError(f"the type of {where} is a {kind!r}")
        if name in self._ids:
            return self._ids[name]
        return self._writer.add(k.KIND_FWD, _bare(name), flag=kind == "union")

    @staticmethod
    def _known(ids: Dict[str, int], what: str, name: str, where: str) -> int:
        if name not in ids:
            raise FormatError(f"{where} is of the {what} {name!r}, which is not in the file")
        return ids[name]


def _object(found: Any, key: str) -> Dict[str, Any]:
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, dict):
        raise FormatError(f"the symbol file has no object {key!r} where one belongs")
    return value


def _sub(found: Dict[str, Any]) -> Any:
    return found.get("subtype")


def _text(found: Any, key: str, where: str) -> str:
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, str):
        raise FormatError(f"the symbol file does not tell the {key} of {where}")
    return value


def _number(found: Any, key: str, where: str, limit: int) -> int:
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise FormatError(f"the symbol file has {value!r:.40} for the {key} of {where}")
    return value


def _name(text: str) -> str:
    if len(text) > _MAX_NAME or "\0" in text or not text.isascii():
        raise FormatError(f"the symbol file has the name {text[:40]!r}")
    return text


def _bare(name: str) -> str:
    """A name as it was in C: none if it is made up."""
    return "" if _UNNAMED.fullmatch(name) else _name(name)
