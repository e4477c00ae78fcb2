# SPDX-License-Identifier: Apache-2.0
"""tetrapy.named.NamedTuple behaves as typing.NamedTuple does."""

from __future__ import annotations

import copy
import pickle
import typing
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy import named


class Ours(named.NamedTuple):
    """Three fields."""

    first: int
    second: str = "two"
    third: typing.Optional[int] = None

    @property
    def doubled(self) -> int:
        """A property of a subclass."""
        return 2 * self.first

    @classmethod
    def of(cls, text: str) -> Ours:
        """Another way to make one."""
        return cls(len(text), text)


class Theirs(typing.NamedTuple):
    """Three fields."""

    first: int
    second: str = "two"
    third: typing.Optional[int] = None

    @property
    def doubled(self) -> int:
        """A property of a subclass."""
        return 2 * self.first

    @classmethod
    def of(cls, text: str) -> Theirs:
        """Another way to make one."""
        return cls(len(text), text)


values = st.integers() | st.text(max_size=3) | st.none()
names = st.sampled_from(["first", "second", "third", "fourth", "_cls"])


def outcome(make: Callable[[], Any]) -> Any:
    """What a call gives, or the kind of its error."""
    try:
        made = make()
    except (TypeError, ValueError) as err:
        return type(err)
    return tuple(made) if isinstance(made, tuple) else made


@pytest.mark.slow
@given(st.lists(values, max_size=5), st.dictionaries(names, values, max_size=4))
def test_the_same_calls_are_taken(given_: list[Any], by_name: dict[str, Any]) -> None:
    """By place and by name, with defaults; what does not fit is a TypeError in both."""
    ours, theirs = (outcome(lambda kind=kind: kind(*given_, **by_name)) for kind in (Ours, Theirs))
    assert ours == theirs


@given(st.lists(values, max_size=5), st.dictionaries(names, values, max_size=4))
def test_the_same_helpers(given_: list[Any], by_name: dict[str, Any]) -> None:
    """_make, _replace and _asdict."""
    assert outcome(lambda: Ours._make(given_)) == outcome(lambda: Theirs._make(given_))
    ours, theirs = Ours(1), Theirs(1)
    assert outcome(lambda: ours._replace(**by_name)) == outcome(lambda: theirs._replace(**by_name))
    assert ours._asdict() == theirs._asdict()
    assert type(ours._replace(first=2)) is Ours


def test_it_is_a_tuple() -> None:
    """Equal to one, with an order, a hash and a length; it can be taken apart."""
    one = Ours(1, "x")
    assert one == (1, "x", None) == Theirs(1, "x")
    assert hash(one) == hash((1, "x", None))
    assert Ours(1) < Ours(2)
    first, second, _ = one
    assert (first, second, one[0], one.first, one.doubled, len(one)) == (1, "x", 1, 1, 2, 3)
    assert Ours.of("abc") == (3, "abc", None)


def test_what_tells_of_the_fields() -> None:
    """Names, defaults, representation and documentation are typing's."""
    assert Ours._fields == Theirs._fields
    assert Ours._field_defaults == Theirs._field_defaults
    assert Ours.__match_args__ == Theirs._fields
    assert repr(Ours(1)) == repr(Theirs(1)).replace("Theirs", "Ours")
    assert (Ours.__name__, Ours.__doc__, Ours.__module__) == ("Ours", Theirs.__doc__, __name__)


def test_fields_cannot_be_set() -> None:
    """Nor can others be added."""
    one: Any = Ours(1)
    for name in ("first", "other"):
        with pytest.raises(AttributeError):
            setattr(one, name, 2)
    assert not hasattr(one, "__dict__")


def test_copies() -> None:
    """They are of the same class, also by way of pickle."""
    one = Ours(1, "x", 7)
    for other in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert other == one
        assert type(other) is Ours


def test_a_class_without_fields_of_its_own() -> None:
    """A subclass of a subclass keeps its fields and may have methods."""

    class More(Ours):
        __slots__ = ()

        def both(self) -> tuple[int, str]:
            """Two of them."""
            return self.first, self.second

    assert More(5).both() == (5, "two")
    assert isinstance(More(5)._replace(first=6), More)
