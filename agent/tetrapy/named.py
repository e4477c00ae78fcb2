"""`NamedTuple` as typing has it, made in a tenth of the time.

typing compiles every annotation of every class; the agent has dozens of such classes, and nothing
asks for the types of their fields at run time. Type checkers see typing's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NamedTuple
else:
    try:  # CPython's own for named tuples
        from _collections import _tuplegetter
    except ImportError:
        from operator import itemgetter

        def _tuplegetter(at, doc):
            return property(itemgetter(at), doc=doc)

    _make = tuple.__new__

    class _Maker(type):
        """Turns the body of a class into a tuple with named fields."""

        def __new__(cls, name, bases, space):
            if not bases:
                return type.__new__(cls, name, bases, space)
            fields = tuple(space.pop("__annotations__", ()))
            defaults = {field: space.pop(field) for field in fields if field in space}
            # What a caller gives is checked by the signature, as for any function.
            arguments = ", ".join(
                f"{field}=_defaults[{field!r}]" if field in defaults else field for field in fields
            )
            values = "".join(field + ", " for field in fields)
            scope = {"_make": _make, "_defaults": defaults, "__name__": space["__module__"]}
            create = eval(f"lambda _cls, {arguments}: _make(_cls, ({values}))", scope)  # noqa: S307 - names out of our own classes
            create.__name__, create.__qualname__ = "__new__", f"{name}.__new__"
            space.update((field, _tuplegetter(at, "")) for at, field in enumerate(fields))
            space.update(
                __new__=create,
                __slots__=(),
                _fields=fields,
                _field_defaults=defaults,
                __match_args__=fields,
            )
            return type(name, (_Named,), space)

    class _Named(tuple):
        """What all of them can do."""

        __slots__ = ()

        @classmethod
        def _make(cls, values):
            """One of the values of an iterable, in the order of the fields."""
            made = _make(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, **values):
            """The same with other values of some fields."""
            made = self._make(map(values.pop, self._fields, self))
            if values:
                raise ValueError(f"got unexpected field names: {list(values)!r}")
            return made

        def _asdict(self):
            """Field -> value."""
            return dict(zip(self._fields, self))

        def __repr__(self):
            shown = ", ".join(f"{field}={value!r}" for field, value in zip(self._fields, self))
            return f"{type(self).__name__}({shown})"

        def __getnewargs__(self):
            return tuple(self)

    class NamedTuple(metaclass=_Maker):
        """The base to write."""


__all__ = ["NamedTuple"]
