# SPDX-License-Identifier: Apache-2.0
"""What all classes of `types` can do."""

from __future__ import annotations

from typing import Any, NoReturn, Tuple


class Part:
    """A mapping of a policy as an object that cannot be changed; equal if all fields are."""

    parts: Tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.parts = tuple(cls.__annotations__)

    def __init__(self, **values: Any) -> None:
        if set(values) != set(self.parts):
            wrong = sorted(set(values) ^ set(self.parts))
            raise TypeError(f"{type(self).__name__} has no, or needs, {', '.join(wrong)}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{name} of a {type(self).__name__} cannot be changed")

    def replaced(self, **values: Any) -> Any:
        """The same with other values of some fields."""
        return type(self)(**{**self.__dict__, **values})

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *map(str, self.__dict__.values())))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.parts)
        return f"{type(self).__name__}({shown})"
