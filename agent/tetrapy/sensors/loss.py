"""How many records the kernel side could not hand over."""

from __future__ import annotations

from typing import Dict, List


class LossCounter:
    """Compares the kernel's counters with what was told before."""

    def __init__(self, kind_names: List[str]) -> None:
        self._names = kind_names
        self.totals: Dict[str, int] = {name: 0 for name in kind_names if name}

    def update(self, counters: List[int]) -> Dict[str, int]:
        """New losses since the last call, by kind; empty when there are none.

        `counters` has one number for each value of enum event_kind.
        """
        new = {}
        for name, count in zip(self._names, counters):
            if name and count > self.totals[name]:
                new[name] = count - self.totals[name]
                self.totals[name] = count
        return new

    @property
    def total(self) -> int:
        """All losses that `update` has seen."""
        return sum(self.totals.values())
