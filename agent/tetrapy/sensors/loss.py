# SPDX-License-Identifier: Apache-2.0
"""How many records did not reach the agent."""

from __future__ import annotations

from typing import Dict, Mapping


class LossCounter:
    """Compares a sensor's counters with what was reported before."""

    def __init__(self) -> None:
        self.totals: Dict[str, int] = {}

    def update(self, counters: Mapping[str, int]) -> Dict[str, int]:
        """New losses since the last call, by kind; empty when there are none."""
        new = {}
        for name, count in counters.items():
            before = self.totals.get(name, 0)
            if count > before:
                new[name] = count - before
            self.totals[name] = max(count, before)
        return new

    @property
    def total(self) -> int:
        """All losses that `update` has seen."""
        return sum(self.totals.values())
