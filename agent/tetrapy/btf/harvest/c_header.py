# SPDX-License-Identifier: Apache-2.0
"""BTF out of a `vmlinux.h`: the kernel's types in C, as `bpftool btf dump` writes them.

What is not understood is left out, with all that holds it by value; pointers to it remain.  Of
functions only that they are some is kept.  A type has to be complete where it is held by value, as
in C, so one pass is enough.
"""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf_writer import BtfWriter, MemberSpec
from tetrapy.btf.harvest import limits
from tetrapy.btf.harvest.c_attributes import Attributes
from tetrapy.btf.harvest.c_layout import Member, layout
from tetrapy.btf.harvest.c_tokens import END, NotUnderstoodError, Tokens, number_of
from tetrapy.btf.harvest.c_types import WORDS, Tag, Type, builtin
from tetrapy.btf.harvest.isf import NotLinuxError
from tetrapy.errors import FormatError

_START = re.compile(
    rb"(?:\s|/\*(?:[^*]|\*(?!/))*\*/|//[^\n]*\n)*(?:#\s*(?:ifndef|pragma|if)\b|(?:typedef|struct|union|enum)\s)",
    re.DOTALL,
)
_KINDS = {"struct": k.KIND_STRUCT, "union": k.KIND_UNION}
_QUALIFIERS = frozenset(("const", "volatile", "restrict", "__restrict", "register", "_Atomic"))
_MAX_DERIVED = 32  # pointers, arrays and functions in one declarator
_MAX_NESTED = 32  # structs inside each other
_POINTER = 8


def is_header(head: bytes) -> bool:
    """Whether the first bytes of a file may be those of C declarations."""
    return b"\0" not in head and _START.match(head) is not None


def read_header(data: bytes) -> Tuple[bytes, str]:
    """The BTF of the types in a header, and what was left out, for people ("" if nothing was).

    FormatError: above a limit, or its task_struct is not understood; NotLinuxError: it has none.
    """
    if len(data) > limits.HEADER:
        raise FormatError(f"{len(data) >> 20} MiB of C, the limit is {limits.HEADER >> 20}")
    if b"struct task_struct {" not in data:
        raise NotLinuxError("is C, but does not declare struct task_struct: no kernel's vmlinux.h")
    return _Header(Tokens(data)).btf()


class _Header:
    """One header on its way to BTF."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._writer = BtfWriter()
        self._tags: Dict[Tuple[str, str], Tag] = {}
        # What functions take, and nothing holds.
        self._typedefs = {"__builtin_va_list": Type(0, None)}
        self._left_out: List[str] = []
        self._nested = 0

    def btf(self) -> Tuple[bytes, str]:
        """All declarations, one after the other."""
        tokens = self._tokens
        while tokens.next != END:
            line = tokens.line
            try:
                self._declaration()
            except NotUnderstoodError as err:
                self._nested = 0
                self._left_out.append(f"line {line}: {err}")
                tokens.skip_declaration()
        task = self._tags.get(("struct", "task_struct"))
        if task is None or task.size is None:
            first = f": {self._left_out[0]}" if self._left_out else ""
            raise FormatError(f"the header's struct task_struct is not understood{first}")
        for (kind, name), tag in self._tags.items():
            if tag.size is None and kind == "enum":
                self._writer.enum(name, 4, False, (), tag.id)
            elif tag.size is None:
                self._writer.add(k.KIND_FWD, name, flag=kind == "union", reserved=tag.id)
        count = len(self._left_out)
        note = (
            f"{count} declarations are left out, the first in {self._left_out[0]}" if count else ""
        )
        return self._writer.build(), note

    # --- declarations -----------------------------------------------------------------------

    def _declaration(self) -> None:
        tokens = self._tokens
        tokens.mark()
        if tokens.take(";"):
            return
        if tokens.next in ("extern", "static", "inline", "__inline", "_Static_assert"):
            tokens.skip_declaration()
            return
        is_typedef = tokens.take("typedef")
        base = self._specifiers()
        while not tokens.take(";"):
            name, found = self._declarator(base, 0)
            attributes = Attributes().read(tokens)
            if is_typedef and name:
                made = self._writer.add(k.KIND_TYPEDEF, name, found.id)
                align = max(found.align, attributes.least)
                self._typedefs[name] = found._replace(id=made, align=align)
            if not tokens.take(","):
                tokens.expect(";")
                return

    def _specifiers(self) -> Type:
        """The type that declarators start from."""
        tokens = self._tokens
        words: List[str] = []
        found: Optional[Type] = None
        while True:
            word = tokens.next
            if word in _QUALIFIERS:
                tokens.advance()
            elif word == "__attribute__":
                Attributes().read(tokens, harmless=True)
            elif word in WORDS and found is None:
                words.append(tokens.advance())
                if len(words) > 4:
                    raise NotUnderstoodError(f"a type of {' '.join(words)}")
            elif word in _KINDS and found is None and not words:
                found = self._composite(tokens.advance())
            elif word == "enum" and found is None and not words:
                tokens.advance()
                found = self._enum()
            elif word in self._typedefs and found is None and not words:
                found = self._typedefs[tokens.advance()]
            else:
                break
        return builtin(self._writer, words, tokens.next) if found is None else found

    def _tag(self, kind: str, name: str) -> Tag:
        found = self._tags.get((kind, name))
        if found is None:
            found = self._tags[kind, name] = Tag(self._writer.reserve())
        return found

    # --- structs, unions, enums ---------------------------------------------------------------

    def _composite(self, kind: str) -> Type:
        tokens = self._tokens
        attributes = Attributes().read(tokens)
        name = tokens.name()
        if tokens.next != "{":
            if not name:
                raise NotUnderstoodError(f"a {kind} without name and members")
            tag = self._tag(kind, name)
            return Type(tag.id, None, tag=tag)
        tag = self._tag(kind, name) if name else Tag(0)
        if tag.is_open:
            raise NotUnderstoodError(f"{kind} {name} is there twice")
        tag.is_open = True
        self._nested += 1
        if self._nested > _MAX_NESTED:
            raise NotUnderstoodError(f"more than {_MAX_NESTED} structs inside each other")
        members = self._members()
        self._nested -= 1
        attributes.read(tokens)
        made = layout(
            members,
            union=kind == "union",
            packed=attributes.packed,
            least=attributes.least,
        )
        if made.size > limits.TYPE:
            raise NotUnderstoodError(f"{kind} {name} has {made.size} bytes")
        # Unnamed bit fields are gaps.
        specs: List[MemberSpec] = [
            (one.name, one.type_id, place, one.bits or 0)
            for one, place in zip(members, made.places)
            if one.name or one.bits is None
        ]
        if any(bits for *_, bits in specs) and any(place >> 24 for _, _, place, _ in specs):
            raise NotUnderstoodError(f"{kind} {name} has bit fields and members beyond 2 MiB")
        tag.id = self._writer.composite(_KINDS[kind], name, made.size, specs, tag.id)
        tag.size, tag.align = made.size, made.align
        return Type(tag.id, made.size, made.align, tag)

    def _members(self) -> List[Member]:
        tokens = self._tokens
        tokens.expect("{")
        members: List[Member] = []
        while not tokens.take("}"):
            is_composite = tokens.next in _KINDS
            base = self._specifiers()
            if tokens.take(";"):
                # With a name too: the kernel is built with -fms-extensions.
                if not is_composite:
                    raise NotUnderstoodError("a member without a name")
                members.append(Member("", base.id, *base.whole()))
            else:
                self._member_list(base, members)
            if len(members) > limits.MEMBERS:
                raise NotUnderstoodError(f"more than {limits.MEMBERS} members")
        return members

    def _member_list(self, base: Type, members: List[Member]) -> None:
        """The declarators behind a type, up to the semicolon."""
        tokens = self._tokens
        while True:
            name, found = self._declarator(base, 0)
            bits = None
            if tokens.take(":"):
                bits = number_of(tokens.advance())
            size, align = found.whole()
            if bits is not None and (not 0 <= bits <= 8 * size or (name and not bits)):
                raise NotUnderstoodError(f"a bit field of {bits} bits")
            if bits is None and not name:
                raise NotUnderstoodError("a member without a name")
            attributes = Attributes().read(tokens)
            if attributes.packed:
                align = 1
            members.append(Member(name, found.id, size, align, bits, attributes.least))
            if not tokens.take(","):
                tokens.expect(";")
                return

    def _enum(self) -> Type:
        tokens = self._tokens
        attributes = Attributes().read(tokens)
        name = tokens.name()
        if tokens.next != "{":
            if not name:
                raise NotUnderstoodError("an enum without name and values")
            tag = self._tag("enum", name)
            return Type(tag.id, None, tag=tag)
        tokens.expect("{")
        values: List[Tuple[str, int]] = []
        value = 0
        while not tokens.take("}"):
            text = tokens.name()
            if not text:
                raise NotUnderstoodError("a value without a name")
            if tokens.take("="):
                value = number_of(tokens.advance())
            values.append((text, value))
            value += 1
            if len(values) > limits.MEMBERS:
                raise NotUnderstoodError(f"more than {limits.MEMBERS} values")
            if not tokens.take(","):
                tokens.expect("}")
                break
        attributes.read(tokens)
        signed = any(number < 0 for _, number in values)
        lowest, highest = (-(1 << 31), 1 << 31) if signed else (0, 1 << 32)
        wide = any(not lowest <= number < highest for _, number in values)
        size = attributes.mode or (1 if attributes.packed else 8 if wide else 4)
        made = [(text, number & (1 << 64) - 1) for text, number in values]
        tag = self._tag("enum", name) if name else Tag(0)
        if tag.size is not None:
            raise NotUnderstoodError(f"enum {name} is there twice")
        tag.id = self._writer.enum(name, size, signed, made, tag.id)
        tag.size = tag.align = size
        return Type(tag.id, size, size)

    # --- declarators -----------------------------------------------------------

    def _declarator(self, base: Type, depth: int) -> Tuple[str, Type]:
        """A name, "" if there is none, and the type of what it declares."""
        tokens = self._tokens
        if depth > _MAX_DERIVED:
            raise NotUnderstoodError("a declarator of too many parts")
        if tokens.take("*"):
            pointer = Type(self._writer.add(k.KIND_PTR, ref=base.id), _POINTER, _POINTER)
            while tokens.next in _QUALIFIERS or tokens.next == "__attribute__":
                if tokens.next == "__attribute__":
                    Attributes().read(tokens, harmless=True)
                else:
                    tokens.advance()
            return self._declarator(pointer, depth + 1)
        if tokens.next == "(" and tokens.after in ("*", "("):
            # What is inside comes on top of what follows: read that first.
            inside = tokens.save()
            tokens.skip_group()
            outer = self._suffixes(base, depth)
            behind = tokens.save()
            tokens.restore(inside)
            tokens.expect("(")
            name, found = self._declarator(outer, depth + 1)
            tokens.expect(")")
            tokens.restore(behind)
            return name, found
        name = tokens.name()
        return name, self._suffixes(base, depth)

    def _suffixes(self, base: Type, depth: int) -> Type:
        """The type of an array or a function of `base`, or `base`."""
        tokens = self._tokens
        if tokens.next == "(":
            tokens.skip_group()
            return Type(self._writer.add(k.KIND_FUNC_PROTO), None)
        counts: List[int] = []
        while tokens.take("["):
            counts.append(0 if tokens.next == "]" else number_of(tokens.advance()))
            tokens.expect("]")
            if len(counts) + depth > _MAX_DERIVED:
                raise NotUnderstoodError("an array of too many dimensions")
        for count in reversed(counts):
            size, align = base.whole()
            if not 0 <= count * max(size, 1) <= limits.TYPE:
                raise NotUnderstoodError(f"an array of {count} elements")
            base = Type(self._writer.array(base.id, count), size * count, align)
        return base
