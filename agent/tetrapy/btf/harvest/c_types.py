# SPDX-License-Identifier: Apache-2.0
"""The types of C declarations on their way to BTF, and names of what is not complete yet."""

from __future__ import annotations

from typing import List, Optional, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf_writer import BtfWriter
from tetrapy.btf.harvest.c_tokens import NotUnderstoodError
from tetrapy.named import NamedTuple

WORDS = frozenset(
    ("signed", "unsigned", "short", "long", "int", "char", "_Bool", "float", "double", "void",
     "__int128")
)  # fmt: skip
# Words but for `int` beside another one, sorted -> name as compilers write it, size, encoding.
_INTEGERS = {
    "int": ("int", 4, k.INT_SIGNED),
    "signed": ("int", 4, k.INT_SIGNED),
    "unsigned": ("unsigned int", 4, 0),
    "char": ("char", 1, k.INT_SIGNED),
    "char signed": ("signed char", 1, k.INT_SIGNED),
    "char unsigned": ("unsigned char", 1, 0),
    "short": ("short int", 2, k.INT_SIGNED),
    "short unsigned": ("short unsigned int", 2, 0),
    "long": ("long int", 8, k.INT_SIGNED),
    "long unsigned": ("long unsigned int", 8, 0),
    "long long": ("long long int", 8, k.INT_SIGNED),
    "long long unsigned": ("long long unsigned int", 8, 0),
    "_Bool": ("_Bool", 1, k.INT_BOOL),
    "__int128": ("__int128", 16, k.INT_SIGNED),
    "__int128 unsigned": ("__int128 unsigned", 16, 0),
}
_FLOATS = {"float": 4, "double": 8, "double long": 16}


class Tag:
    """A struct, union or enum by its name: reserved in the BTF, and complete later or never."""

    def __init__(self, type_id: int) -> None:
        self.id = type_id
        self.size: Optional[int] = None
        self.align = 1
        self.is_open = False  # its members are being read, or were not understood


class Type(NamedTuple):
    """A type: its id in the BTF, size (None: none, or that of `tag`) and alignment in bytes."""

    id: int
    size: Optional[int]
    align: int = 1
    tag: Optional[Tag] = None

    def whole(self) -> Tuple[int, int]:
        """Size and alignment; NotUnderstoodError for a type that is not complete."""
        if self.tag is not None and self.tag.size is not None:
            return self.tag.size, max(self.align, self.tag.align)
        if self.size is None:
            raise NotUnderstoodError("a type is held by value before it is complete")
        return self.size, self.align


def builtin(writer: BtfWriter, words: List[str], following: str) -> Type:
    """The type of `unsigned long` and the like; `following` stands behind these words."""
    if words == ["void"]:
        return Type(0, None)
    plain = [word for word in words if word != "int"] or words[:1]
    if len(plain) > 1 and "signed" in plain and "char" not in plain:
        plain.remove("signed")
    name = " ".join(sorted(plain))
    if name in _FLOATS:
        size = _FLOATS[name]
        return Type(writer.add(k.KIND_FLOAT, name, size), size, size)
    if name not in _INTEGERS:
        raise NotUnderstoodError(f"{following!r:.40} where a type belongs")
    text, size, encoding = _INTEGERS[name]
    return Type(writer.add(k.KIND_INT, text, size, [encoding << 24 | 8 * size]), size, size)
