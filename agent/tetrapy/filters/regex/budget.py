# SPDX-License-Identifier: Apache-2.0
"""What the matching of one text may cost, in steps that are the same on every machine.

A process chooses its texts, up to 256 KiB of them, which an operator's patterns are asked about. So
each text has a budget, which all of the patterns share.
"""

from __future__ import annotations

STEPS = 500_000
"""A step is what `re` does with one character, some 5 ns; so all of them are a few milliseconds."""


class OverBudgetError(Exception):
    """An answer would have cost more than is left."""


class Budget:
    """Steps that are left."""

    __slots__ = ("left",)

    def __init__(self, steps: int = STEPS) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Take steps; raises OverBudgetError, and takes none, when fewer are left."""
        if steps > self.left:
            raise OverBudgetError
        self.left -= steps
