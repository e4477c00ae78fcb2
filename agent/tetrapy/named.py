# SPDX-License-Identifier: Apache-2.0
"""`NamedTuple` as typing has it, at a fraction of what its classes cost.

typing looks at every annotation, and nothing asks for the types of fields at run time;
collections.namedtuple gives each class methods of its own. The agent has more than a hundred such
classes: with typing's a start would take 25 million instructions more, and half a megabyte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from collections import namedtuple
    from functools import lru_cache
    from types import FunctionType

    _MOST_FIELDS = 64
    # What reads the field of a number is the same in all classes.
    _numbered = namedtuple("_numbered", [f"field{number}" for number in range(_MOST_FIELDS)])  # noqa: PYI024
    _READERS = [vars(_numbered)[name] for name in _numbered._fields]
    _NAMES = {"__builtins__": {}, "_new": tuple.__new__}

    @lru_cache(maxsize=None)
    def _new_of(count):
        """`__new__` of that many fields, as collections has it: by far the fastest to call."""
        listed = "".join(f"field{number}, " for number in range(count))
        return eval(f"lambda _cls, {listed}: _new(_cls, ({listed}))", _NAMES)  # noqa: S307

    class _Named(tuple):
        """What all classes have."""

        __slots__ = ()

        @classmethod
        def _make(cls, values):
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"{len(cls._fields)} values are expected, not {len(made)}")
            return made

        def _replace(self, /, **values):
            made = self._make(map(values.pop, self._fields, self))
            if values:
                raise ValueError(f"{type(self).__name__} has no {', '.join(values)}")
            return made

        def _asdict(self):
            return dict(zip(self._fields, self))

        def __repr__(self):
            shown = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({shown})"

        def __getnewargs__(self):
            return tuple(self)

    class _Maker(type):
        """Makes a named tuple of the fields of a class, and gives it the class' methods."""

        def __new__(cls, name, bases, space):
            if not bases:
                return type.__new__(cls, name, bases, space)
            fields = tuple(space.pop("__annotations__", ()))
            defaults = {field: space.pop(field) for field in fields if field in space}
            # Only names differ; to compile each would cost a start 20 million instructions.
            code = _new_of(len(fields)).__code__.replace(co_varnames=("_cls", *fields))
            new = FunctionType(code, _NAMES, "__new__", tuple(defaults.values()))
            space.update(zip(fields, _READERS), __new__=new)
            space.setdefault("__slots__", ())
            return type(
                name,
                (_Named,),
                {**space, "_fields": fields, "_field_defaults": defaults, "__match_args__": fields},
            )

    class NamedTuple(metaclass=_Maker):
        """The base to write."""


__all__ = ["NamedTuple"]
