# SPDX-License-Identifier: Apache-2.0
"""Answers that were not found because they would have cost too much (`regex.budget`).

Texts are redacted and filters asked in several places and long before anybody looks, so this is
one for the whole agent: counted for the metrics, and each pattern told to the log once.
"""

from __future__ import annotations

from typing import Dict, List, Set, Tuple

_MAX_REPORTED = 1000  # patterns; a list of settings has no more that matter

_Pattern = Tuple[str, str]  # setting, pattern or expression


class Excess:
    """By setting, how often a text was too much for its patterns."""

    def __init__(self) -> None:
        self.counts: Dict[str, int] = {}
        self._reported: Set[_Pattern] = set()
        self._new: List[_Pattern] = []

    def note(self, setting: str, pattern: str) -> None:
        """A text would have cost too much with this pattern."""
        self.counts[setting] = self.counts.get(setting, 0) + 1
        key = (setting, pattern)
        if key not in self._reported and len(self._reported) < _MAX_REPORTED:
            self._reported.add(key)
            self._new.append(key)

    def take_new(self) -> List[_Pattern]:
        """The patterns that the log does not know yet."""
        new, self._new = self._new, []
        return new


excess = Excess()
"""That of this agent."""
