# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a policy, and where."""

from __future__ import annotations

from itertools import islice
from typing import Dict, Iterable, List, Tuple

from tetrapy.config.suggestions import nearest
from tetrapy.errors import PolicyError
from tetrapy.named import NamedTuple
from tetrapy.visible import printable

MAX_PROBLEMS = 20
MAX_VALUES = 200_000
"""Looked at in a policy: those that aliases and macros repeat are counted each time."""

_SHOWN = 60  # characters of what was found, and words of what is expected
_COMPARED = 200  # words that one is looked for in


class Problem(NamedTuple):
    """One mistake; line and column count from 1."""

    path: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: "
        return place + (f"{self.path}: {self.message}" if self.path else self.message)


class Problems:
    """Gathers mistakes and warnings; knows where each path of the document stands."""

    def __init__(self) -> None:
        self.errors: List[Problem] = []
        self.warnings: List[Problem] = []
        self.marks: Dict[str, Tuple[int, int]] = {}
        self._spent = 0

    def error(self, path: str, message: str) -> None:
        """Note a mistake at a path, or in what holds it. Raises PolicyError if there are many."""
        self.add(Problem(path, *self._place(path), message))

    def add(self, problem: Problem) -> None:
        """Note a mistake whose place is known. Raises PolicyError if there are many."""
        self.errors.append(problem)
        if len(self.errors) >= MAX_PROBLEMS:
            place = (problem.line, problem.column)
            self.errors.append(Problem("", *place, "there may be more; mend these first"))
            self.give_up()

    def warn(self, path: str, message: str) -> None:
        """Note what is accepted, but probably not meant."""
        if len(self.warnings) < MAX_PROBLEMS:
            self.warnings.append(Problem(path, *self._place(path), message))

    def spend(self, path: str, values: int = 1) -> None:
        """Count what is looked at. Raises PolicyError when that is too much."""
        self._spent += values
        if self._spent > MAX_VALUES:
            what = f"more than {MAX_VALUES} values, those counted that aliases and macros repeat"
            self.error(path, what)
            self.give_up()

    def give_up(self) -> None:
        """Raise PolicyError if there was a mistake."""
        if self.errors:
            raise PolicyError(sorted(self.errors, key=lambda one: (one.line, one.column)))

    def _place(self, path: str) -> Tuple[int, int]:
        while path and path not in self.marks:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.marks.get(path, (1, 1))


def quoted(text: str) -> str:
    """A text that was found, so that it can be seen, and not all of a long one."""
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return f'"{printable(shown)}"'


def joined(path: str, name: str) -> str:
    """The path of a key in the mapping at `path`."""
    shown = printable(name[:_SHOWN])
    return f"{path}.{shown}" if path else shown


def expected(found: str, known: Iterable[str]) -> str:
    """The end of a message on a word: what was probably meant, and what could stand there."""
    words = [word for word in islice(known, _COMPARED) if word]
    choices = f"one of {listed(words)} is expected"
    meant = likely(found, words)
    return f"did you mean {printable(meant)}? O{choices[1:]}" if meant else choices


def likely(found: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or an empty text."""
    # As `nearest` writes what was found.
    by_form = {word.lower().replace("_", "-"): word for word in known}
    form = found.lower().replace("_", "-")
    return by_form.get(form) or by_form.get(nearest(form, by_form), "")


def listed(words: Iterable[str]) -> str:
    """Words between commas, not all of very many."""
    some = list(islice(words, _SHOWN + 1))
    shown = [printable(word[:_SHOWN]) for word in some[:_SHOWN]]
    return ", ".join(shown + ["..."] * (len(some) > _SHOWN))
