# SPDX-License-Identifier: Apache-2.0
"""`NamedTuple` as typing has it, without typing's look at every annotation of every class.

The agent has dozens of such classes, and nothing asks for the types of their fields at run time;
they would cost a start 25 million instructions. Type checkers see typing's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from collections import namedtuple

    class _Maker(type):
        """Makes a named tuple of the fields of a class, and gives it the class' methods."""

        def __new__(cls, name, bases, space):
            if not bases:
                return type.__new__(cls, name, bases, space)
            fields = tuple(space.pop("__annotations__", ()))
            defaults = [space.pop(field) for field in fields if field in space]
            module = space["__module__"]
            fast = namedtuple(name, fields, defaults=defaults, module=module)  # noqa: PYI024
            space.setdefault("__slots__", ())
            return type(name, (fast,), space)

    class NamedTuple(metaclass=_Maker):
        """The base to write."""


__all__ = ["NamedTuple"]
