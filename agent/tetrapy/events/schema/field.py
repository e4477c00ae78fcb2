# SPDX-License-Identifier: Apache-2.0
"""A row of the description of messages: one field of one message."""

from __future__ import annotations

from typing import Optional

from tetrapy.named import NamedTuple

# When a line has the field.
ALWAYS = "always"
BEGUN = "begun"  # always, but for a process of which nothing is known but its pid
KNOWN = "known"  # always, but for a process whose beginning was never seen
SET = "set"  # when it is not empty, 0 or false; a wrapper (UInt32Value ...) when it is not None
ONE = "one"  # of all such fields of the message one is set; the object's `member` names it
EXEC = "exec"  # as SET, and only in the process of a process_exec itself

SELF = "."  # the source of a field whose value is the object itself
NOWHERE = ""  # the source of a field that nothing fills yet


class Field(NamedTuple):
    """One field of a message, as Tetragon's .proto files have it, and where its value is."""

    number: int  # in the .proto file; tetrapy's own begin at OWN
    name: str  # in the .proto file and in JSON
    type: str  # scalar, wrapper, enum or message; `[type]` is repeated, `map` from text to text
    help: str
    presence: str
    source: str  # attribute of the object that the message is made of, `a.b`, `[n]`, SELF
    through: str  # function that makes the value of it (CONVERSIONS), "" for none
    plain: bool  # a text that has nothing that JSON escapes
    identity: bool  # tells which of many equal events this is: aggregation does not compare it
    setting: str  # that asks for it, "" for none
    few: bool  # a text, or texts, of which few different ones occur: their JSON is kept

    @property
    def is_repeated(self) -> bool:
        """Whether it is a list."""
        return self.type.startswith("[")

    @property
    def element(self) -> str:
        """The type without the brackets of a repeated one."""
        return self.type.strip("[]")

    @property
    def is_filled(self) -> bool:
        """Whether the agent fills it."""
        return self.source != NOWHERE


OWN = 1000
"""Numbers from here on are of fields that tetrapy alone has."""


def field(
    number: int,
    name: str,
    type_: str,
    help_: str = "",
    presence: str = SET,
    source: Optional[str] = None,
    through: str = "",
    plain: bool = False,
    identity: bool = False,
    setting: str = "",
    few: bool = False,
) -> Field:
    """A row; its source is the attribute of its own name unless another is given."""
    source = name if source is None else source
    return Field(
        number, name, type_, help_, presence, source, through, plain, identity, setting, few
    )


def unfilled(number: int, name: str, type_: str, help_: str = "", identity: bool = False) -> Field:
    """A row of a field that filters may name, and that no event has yet."""
    return field(number, name, type_, help_, source=NOWHERE, identity=identity)
