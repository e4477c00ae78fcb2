# SPDX-License-Identifier: Apache-2.0
"""The comparisons of a hook, gathered: what they compare with, in the words of the kernel side."""

from __future__ import annotations

import contextlib
from typing import Iterable, Iterator, List, Sequence, Tuple

from tetrapy.sensors.policy.sets import (
    SIGN,
    U64,
    covering,
    first_bytes,
    ordered,
    pieces,
    telling_byte,
    text_sets,
)
from tetrapy.sensors.policy.tables import Filter, HookWriter

_RANGES = 4
LOWER_CASE = 0x2020202020202020
"""The bit of eight letters that tells lower case from upper."""


class Filters:
    """The filters of one hook. `bit` is that of the selector which fails where one does not hold,

    `number` an enum call_number of bpf/hook.h.
    """

    def __init__(self, writer: HookWriter) -> None:
        self._writer = writer
        self.plain: List[Filter] = []  # need nothing but numbers
        self.texts: List[Filter] = []
        self.searches: List[Filter] = []  # look into texts
        # Of what the function returns.
        self.returns: List[Filter] = []  # need nothing but numbers
        self.return_texts: List[Filter] = []
        self.return_searches: List[Filter] = []
        self.workloads = False  # some look at the marks of workloads
        self.context = 0  # bits of the numbers of the process that they look at

    @property
    def count(self) -> int:
        """How many filters the hook has, at the call and at its return."""
        begins = len(self.plain) + len(self.texts) + len(self.searches)
        return begins + len(self.returns) + len(self.return_texts) + len(self.return_searches)

    @contextlib.contextmanager
    def of_return(self) -> Iterator[None]:
        """Filters that are added meanwhile are held to what the function returns."""
        begins = self.plain, self.texts, self.searches
        self.plain, self.texts, self.searches = (
            self.returns,
            self.return_texts,
            self.return_searches,
        )
        try:
            yield
        finally:
            self.plain, self.texts, self.searches = begins

    def number(self, name: str) -> int:
        """The number of the process that has this name in the kernel side; it is read from now."""
        number = self._writer.numbers[name]
        self.context |= 1 << number
        return number

    def is_in(self, bit: int, name: str, values: Iterable[int], negated: bool) -> None:
        """A number of the process is one of some values."""
        spans = [(value, value) for value in values]
        self.numbers(bit, self.number(name), spans, negated, 64, is_signed=False)

    def numbers(
        self,
        bit: int,
        number: int,
        spans: Sequence[Tuple[int, int]],
        negated: bool,
        bits: int,
        is_signed: bool,
    ) -> None:
        """A number of so many bits is within one of some ranges."""
        flip = SIGN if is_signed else 0
        ranges = [
            (ordered(low, bits, is_signed), ordered(high, bits, is_signed))
            for low, high in spans
            if low <= high  # nothing is below the least number
        ]
        comparisons = self._writer.comparisons
        one = Filter(comparisons["COMPARE_RANGES"], number, bit, negated, flip=flip)
        if len(ranges) <= _RANGES:
            one = one._replace(ranges=tuple(ranges))
        else:
            members = tuple(part for low, high in ranges for part in covering(low, high))
            one = one._replace(comparison=comparisons["COMPARE_SET"], members=members)
        self.plain.append(one)

    def mask(self, bit: int, number: int, masks: Iterable[int], negated: bool) -> None:
        """A number has a bit of one of some masks."""
        mask = 0
        for one in masks:
            mask |= one & U64
        comparison = self._writer.comparisons["COMPARE_MASK"]
        self.plain.append(Filter(comparison, number, bit, negated, ranges=((mask, 0),)))

    def workload(self, bits: int, mark: int) -> None:
        """The process is in a cgroup that has the mark; `bits` of the selectors for which."""
        self.workloads = True
        self.mask(bits, self._writer.numbers["NUMBER_WORKLOADS"], [mark], negated=False)

    def text(
        self, bit: int, index: int, operator: str, texts: Sequence[bytes], negated: bool
    ) -> None:
        """The text of a value is, begins, or ends with one of some texts.

        Raises PolicyUnsupportedError.
        """
        most = self._writer.limits["SET_DATA"]
        if operator == "Equal" and any(len(text) >= most for text in texts):
            self.whole(bit, index, texts, negated)
            return
        comparison = self._writer.comparisons["COMPARE_SET"]
        groups = text_sets(operator, texts, most)
        for at, (length, members) in enumerate(groups):
            telling, bytes_there = telling_byte([text for _, text in members])
            self.texts.append(
                Filter(
                    comparison,
                    index,
                    bit,
                    negated,
                    joined=at + 1 < len(groups),
                    end=length,
                    last=max(1, *(len(text) for _, text in members)) - 1,
                    telling=telling,
                    ranges=tuple((word, 0) for word in bytes_there),
                    members=members,
                )
            )

    def whole(self, bit: int, index: int, texts: Sequence[bytes], negated: bool) -> None:
        """The bytes of a value, however many, are one of some texts."""
        found = pieces(texts, self._writer.limits["SET_DATA"])
        comparison = self._writer.comparisons["COMPARE_WHOLE"]
        members, says = tuple(found), tuple(found.values())
        self.searches.append(Filter(comparison, index, bit, negated, members=members, says=says))

    def inside(self, bit: int, index: int, texts: Sequence[bytes], *, any_case: bool) -> None:
        """One of some texts is somewhere in that of a value.

        `any_case`: letters of ASCII count as the same in upper and in lower case.
        """
        if not all(texts):
            return  # nothing is everywhere
        comparison = self._writer.comparisons["COMPARE_INSIDE"]
        firsts = first_bytes(texts, any_case=any_case)
        fold = LOWER_CASE if any_case else 0
        wanted = {text.lower() if any_case else text for text in texts}
        self.searches.append(
            Filter(
                comparison,
                index,
                bit,
                ranges=tuple((word, fold if not at else 0) for at, word in enumerate(firsts)),
                members=tuple((8 * len(text), text) for text in sorted(wanted)),
            )
        )
