# SPDX-License-Identifier: Apache-2.0
"""Sets of characters as sorted, disjoint ranges of code points."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import Dict, Iterable, List, Optional, Tuple

Ranges = Tuple[Tuple[int, int], ...]

LAST = 0x10FFFF
ALL: Ranges = ((0, LAST),)
NO_LINE_FEED: Ranges = ((0, 9), (11, LAST))
DIGITS: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))

PERL: Dict[str, Ranges] = {
    "d": DIGITS,
    "s": ((9, 10), (12, 13), (32, 32)),
    "w": WORD,
}
POSIX: Dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": DIGITS,
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}

# Letters whose other case is no simple one in Unicode's tables, though str.upper() has one.
_CASELESS = frozenset({0x130, 0x131})
_LAST_CASED = 0x1E943


def union(ranges: Iterable[Tuple[int, int]]) -> Ranges:
    """The set that holds all of `ranges`, which may overlap."""
    merged: List[Tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    """Every other character."""
    out: List[Tuple[int, int]] = []
    start = 0
    for low, high in ranges:
        if low > start:
            out.append((start, low - 1))
        start = high + 1
    if start <= LAST:
        out.append((start, LAST))
    return tuple(out)


def contains(ranges: Ranges, code: int) -> bool:
    """Whether the set has this character."""
    at = bisect_right(ranges, (code, LAST)) - 1
    return at >= 0 and ranges[at][0] <= code <= ranges[at][1]


def folded(ranges: Ranges) -> Ranges:
    """The set with the other cases of its letters."""
    if ranges and ranges[-1][1] < 128:
        out = list(ranges)
        for low, high in ranges:
            for code in range(low, high + 1):
                out += [(other, other) for other in _ascii_cases(code)]
        return union(out)
    more = [(code, code) for code, others in _cases().items() if _any(ranges, others)]
    return union([*ranges, *more])


def _any(ranges: Ranges, codes: Tuple[int, ...]) -> bool:
    return any(contains(ranges, code) for code in codes)


def _ascii_cases(code: int) -> Tuple[int, ...]:
    letter = chr(code)
    if not letter.isalpha():
        return ()
    # Two letters beyond ASCII have an ASCII one as their other case: Kelvin sign and long s.
    beyond = {"k": (0x212A,), "s": (0x17F,)}.get(letter.lower(), ())
    return (ord(letter.lower()), ord(letter.upper()), *beyond)


@lru_cache(maxsize=1)
def _cases() -> Dict[int, Tuple[int, ...]]:
    """Letter -> all letters that differ from it in case only, itself among them."""
    groups: Dict[int, List[int]] = {}
    for code in range(_LAST_CASED + 1):
        letter = chr(code)
        for other in (letter.lower(), letter.upper(), letter.title()):
            if other == letter or len(other) != 1 or code in _CASELESS:
                continue
            mine = groups.setdefault(code, [code])
            theirs = groups.setdefault(ord(other), [ord(other)])
            if mine is not theirs:
                mine += theirs
                for member in theirs:
                    groups[member] = mine
    return {code: tuple(group) for code, group in groups.items()}


@lru_cache(maxsize=32)
def category(name: str) -> Optional[Ranges]:
    """The characters of a Unicode category such as L or Lu; None if there is no such category."""
    if name == "Any":
        return ALL
    if len(name) > 2 or not name.isalpha():
        return None
    from unicodedata import category as category_of  # only few patterns need it

    out: List[Tuple[int, int]] = []
    start = None
    for code in range(LAST + 1):
        if category_of(chr(code)).startswith(name):
            if start is None:
                start = code
        elif start is not None:
            out.append((start, code - 1))
            start = None
    if start is not None:
        out.append((start, LAST))
    return tuple(out) or None
