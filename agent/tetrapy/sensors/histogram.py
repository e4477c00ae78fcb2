# SPDX-License-Identifier: Apache-2.0
"""Figures counted by size, for metrics to read."""

from __future__ import annotations

from bisect import bisect_left
from typing import List, Sequence


class Histogram:
    """`counts`: how many were up to each bound, and more than the last; `sum`: of all figures."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts: List[int] = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, figure: float) -> None:
        """Count a value in its bucket and in the sum."""
        self.counts[bisect_left(self._bounds, figure)] += 1
        self.sum += figure
