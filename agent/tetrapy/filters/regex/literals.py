# SPDX-License-Identifier: Apache-2.0
"""Texts without which a pattern cannot match: they are looked for before anything else is done.

`str.find` passes over a character ten times as fast as `re` and a hundred times as fast as the
automaton, and most texts have none of them.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Any, Callable, FrozenSet, List, Optional, Tuple

from tetrapy.filters.regex import nodes
from tetrapy.named import NamedTuple

_MAX_COUNT = 16  # texts of a set
_MAX_LENGTH = 16  # characters of a text: more tell little, and what `find` may take grows with them
_TELLING = 4  # characters from which on a text is as good as a longer one
_MAX_CASES = 4  # characters of one place, a letter with its other cases among them

Texts = FrozenSet[str]
_NOTHING: Texts = frozenset({""})


class Literals(NamedTuple):
    """A set of texts; `folded`: they are to be looked for where no case is distinguished."""

    texts: Tuple[str, ...]
    folded: bool

    def place(self, text: str) -> str:
        """Where to look for them."""
        return folded(text) if self.folded else text

    def are_absent(self, text: str) -> bool:
        """Whether the text has none of them."""
        place = self.place(text)
        return not any(one in place for one in self.texts)

    def count(self, text: str) -> int:
        """The most places at which one of them can begin."""
        place = self.place(text)
        return sum(place.count(one) * _overlaps(one) for one in self.texts)


@lru_cache(maxsize=2)
def folded(text: str) -> str:
    """The text without cases. What several patterns are asked about is folded once."""
    return text.casefold()


def required(tree: Any) -> Optional[Literals]:
    """Every match has one of these texts in it; None where there are none."""
    return _best(_required, tree)


def prefixes(tree: Any) -> Optional[Literals]:
    """Every match begins with one of these texts; None where there are none."""
    return _best(_prefixes, tree)


def _best(find: Callable[[Any, bool], Optional[Texts]], tree: Any) -> Optional[Literals]:
    """Texts as they are, unless folded ones are longer or fewer: folding has a price."""
    plain = find(tree, False) or _NOTHING
    if "" not in plain and _worth(plain) == (_TELLING, -1):
        return Literals(tuple(plain), False)
    folds = find(tree, True) or _NOTHING
    found = [(texts, fold) for texts, fold in ((plain, False), (folds, True)) if "" not in texts]
    if not found:
        return None
    texts, fold = max(found, key=lambda one: (_worth(one[0]), not one[1]))
    return Literals(tuple(sorted(texts)), fold)


def _worth(texts: Any) -> Tuple[int, int]:
    return min(_TELLING, *map(len, texts), _TELLING), -len(texts)


def _overlaps(text: str) -> int:
    """How many of its places one that `count` finds may hide: those that overlap with it."""
    borders = any(text.startswith(text[at:]) for at in range(1, len(text)))
    return len(text) if borders else 1


def _exact(node: Any, fold: bool) -> Optional[Texts]:
    """All texts that match; None when they are too many."""
    if isinstance(node, nodes.Chars):
        codes = [code for low, high in node.ranges for code in range(low, min(high, low + 5) + 1)]
        if not 0 < len(codes) <= _MAX_CASES:
            return None
        return frozenset(chr(code).casefold() if fold else chr(code) for code in codes)
    if isinstance(node, nodes.Assertion):
        return _NOTHING
    if isinstance(node, nodes.Group):
        return _exact(node.body, fold)
    if isinstance(node, nodes.Choice):
        return _union([_exact(part, fold) for part in node.parts])
    if isinstance(node, nodes.Sequence):
        out: Optional[Texts] = _NOTHING
        for part in node.parts:
            out = _joined(out, _exact(part, fold))
            if out is None:
                return None
        return out
    if (node.low, node.high) == (0, 1):
        return _union([_NOTHING, _exact(node.body, fold)])
    if node.low == node.high:
        return (
            _exact(nodes.Sequence((node.body,) * node.low), fold) if node.low < _MAX_COUNT else None
        )
    return None


def _joined(first: Optional[Texts], second: Optional[Texts]) -> Optional[Texts]:
    if first is None or second is None or len(first) * len(second) > _MAX_COUNT:
        return None
    out = frozenset(one + other for one, other in product(first, second))
    return out if max(map(len, out)) <= _MAX_LENGTH else None


def _union(sets: List[Optional[Texts]]) -> Optional[Texts]:
    out: Texts = frozenset()
    for one in sets:
        if one is None:
            return None
        out |= one
    return out if len(out) <= _MAX_COUNT else None


def _prefixes(node: Any, fold: bool) -> Texts:
    """Texts of which one begins each match; "" among them says nothing."""
    exact = _exact(node, fold)
    if exact is not None:
        return exact
    if isinstance(node, nodes.Group):
        return _prefixes(node.body, fold)
    if isinstance(node, nodes.Choice):
        return _union([_prefixes(part, fold) for part in node.parts]) or _NOTHING
    if isinstance(node, nodes.Sequence):
        found = _NOTHING
        for part in node.parts:
            whole = _exact(part, fold)
            longer = _joined(found, _prefixes(part, fold) if whole is None else whole)
            found = found if longer is None else longer
            if whole is None or longer is None:
                break
        return found
    if isinstance(node, nodes.Repeat) and node.low:
        return _prefixes(node.body, fold)
    return _NOTHING


def _required(node: Any, fold: bool) -> Optional[Texts]:
    exact = _exact(node, fold)
    if exact is not None:
        return None if "" in exact else exact
    if isinstance(node, nodes.Group):
        return _required(node.body, fold)
    if isinstance(node, nodes.Choice):
        return _union([_required(part, fold) for part in node.parts])
    if isinstance(node, nodes.Repeat):
        return _required(node.body, fold) if node.low else None
    if not isinstance(node, nodes.Sequence):
        return None
    found: List[Texts] = []
    run: Texts = _NOTHING
    for part in node.parts:
        whole = _exact(part, fold)
        longer = _joined(run, whole)
        if longer is not None:
            run = longer
            continue
        found.append(run)
        run = whole or _NOTHING
        if whole is None:
            found.append(_required(part, fold) or _NOTHING)
    found.append(run)
    useful = [one for one in found if "" not in one]
    return max(useful, key=_worth) if useful else None
