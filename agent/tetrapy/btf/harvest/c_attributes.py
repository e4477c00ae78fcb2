# SPDX-License-Identifier: Apache-2.0
"""`__attribute__((...))` in C declarations, as far as it changes a layout."""

from __future__ import annotations

from tetrapy.btf.harvest.c_tokens import NotUnderstoodError, Tokens, number_of

_MODES = {"byte": 1, "QI": 1, "HI": 2, "SI": 4, "word": 8, "DI": 8}
# Attributes that do not change a layout.
_HARMLESS = frozenset(
    ("preserve_access_index", "btf_type_tag", "btf_decl_tag", "unused", "may_alias")
)
_MAX_ALIGN = 1 << 16


class Attributes:
    """What attributes say of a layout; alignments and `mode`'s size in bytes."""

    def __init__(self) -> None:
        self.packed = False
        self.least = 1
        self.mode = 0

    def read(self, tokens: Tokens, *, harmless: bool = False) -> Attributes:
        """Add those at this place, if there are any; `harmless`: no others belong here."""
        while tokens.take("__attribute__"):
            tokens.expect("(")
            tokens.expect("(")
            while not tokens.take(")"):
                word = tokens.name().strip("_")
                argument = tokens.group() if tokens.next == "(" else []
                if word == "packed" and not harmless:
                    self.packed = True
                elif word == "aligned" and not harmless and len(argument) == 1:
                    self.least = max(self.least, _alignment(argument[0]))
                elif word == "mode" and argument and argument[0].strip("_") in _MODES:
                    self.mode = _MODES[argument[0].strip("_")]
                elif word not in _HARMLESS:
                    raise NotUnderstoodError(f"the attribute {word or tokens.next!r:.40}")
                tokens.take(",")
            tokens.expect(")")
        return self


def _alignment(text: str) -> int:
    value = number_of(text)
    if not 0 < value <= _MAX_ALIGN or value & (value - 1):
        raise NotUnderstoodError(f"an alignment of {value}")
    return value
