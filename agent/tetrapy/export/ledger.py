# SPDX-License-Identifier: Apache-2.0
"""What each of many owes, all of which is given back evenly: leaky buckets.

Anybody may be many, so that a ledger knows a limited number. When there are more, the half that
owes least is forgotten, and from then on who is not known is taken for the one of them that owed
most. So nobody gains by being forgotten, and a newcomer is taken for one who owes a part in 512 of
what all owe, at most.
"""

from __future__ import annotations

from typing import Dict, Hashable

KNOWN = 1024


class Ledger:
    """A debt is kept as the time at which all of it will be given back.

    Times are numbers of any unit, of a clock that never goes back.
    """

    def __init__(self) -> None:
        self._clear_at: Dict[Hashable, float] = {}
        self._others_clear_at: float = 0

    def __len__(self) -> int:
        return len(self._clear_at)

    def owed(self, whose: Hashable, now: float) -> float:
        """How long it takes from now until all is given back."""
        clear_at = self._clear_at.get(whose, self._others_clear_at)
        return clear_at - now if clear_at > now else 0

    def owe(self, whose: Hashable, clear_at: float) -> None:
        """From now on all is given back at this time."""
        if whose not in self._clear_at and len(self._clear_at) >= KNOWN:
            self._forget()
        self._clear_at[whose] = clear_at

    def take(self, whose: Hashable, now: float, more: float, most: float) -> bool:
        """Owe so much more, if it is not more than `most` in all then; whether it is not."""
        clear_at = max(self._clear_at.get(whose, self._others_clear_at), now) + more
        if clear_at - now > most:
            return False
        if whose in self._clear_at:
            self._clear_at[whose] = clear_at
        else:
            self.owe(whose, clear_at)
        return True

    def _forget(self) -> None:
        ordered = sorted(self._clear_at.items(), key=lambda item: item[1])
        half = len(ordered) // 2
        self._others_clear_at = max(self._others_clear_at, ordered[half - 1][1])
        self._clear_at = dict(ordered[half:])
