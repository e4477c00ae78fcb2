# SPDX-License-Identifier: Apache-2.0
"""What the kernel side counts of a hook (enum hook_count of bpf/hook_action.h)."""

from __future__ import annotations

from typing import Dict, Mapping, Sequence, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.abi.layout import enum_values
from tetrapy.named import NamedTuple


class SelectorCounts(NamedTuple):
    """Of one selector."""

    matched: int  # calls that it decided on
    actions: Mapping[str, int]  # signal, monitor_signal, override, ..., failed


class HookCounts(NamedTuple):
    """Of a hook; selectors that it does not have are 0."""

    called: int
    selectors: Tuple[SelectorCounts, ...]


class CountsLayout:
    """Where the kernel side has which."""

    def __init__(self, btf: Btf) -> None:
        """Raises LayoutError when the object has other structures."""
        places = enum_values(btf, "hook_count")
        self.counters = places["HOOK_COUNTS"]
        self._called = places["COUNT_CALLED"]
        names = enum_values(btf, "selector_count")
        self._width = names.pop("SELECTOR_COUNTS")
        self._matched = names.pop("COUNT_MATCHED")
        self._actions: Dict[str, int] = {
            name[len("COUNT_") :].lower(): number for name, number in names.items()
        }

    def read(self, numbers: Sequence[int]) -> HookCounts:
        """The counts among the `counters` numbers of a hook."""
        selectors = (numbers[at : at + self._width] for at in range(0, self._called, self._width))
        return HookCounts(
            numbers[self._called],
            tuple(
                SelectorCounts(
                    own[self._matched],
                    {name: own[number] for name, number in self._actions.items()},
                )
                for own in selectors
            ),
        )
