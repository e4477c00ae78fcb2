# SPDX-License-Identifier: Apache-2.0
"""One check of the reference process: what it proves, when it holds, and how it is checked."""

from __future__ import annotations

from typing import Callable, List, Optional, Tuple

from tetrapy.btf.inference.memory import Unreadable
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.view import Missing, View
from tetrapy.named import NamedTuple

Predicate = Callable[[View, ReferenceProcess], Optional[bool]]


class Check(NamedTuple):
    """`predicate` says whether it holds in a view, or None where this host cannot tell.

    `proves` are short names of queries (`view.key`).  `ended` checks hold after
    ReferenceProcess.end() only, the others before it only.
    """

    name: str
    proves: Tuple[str, ...]
    ended: bool
    predicate: Predicate

    def holds(self, view: View, reference: ReferenceProcess) -> Optional[bool]:
        """What `predicate` says; what cannot be read, or the layout does not have, does not
        hold.
        """
        try:
            return self.predicate(view, reference)
        except (Unreadable, Missing):
            return False


def check(
    table: List[Check], name: str, *proves: str, ended: bool = False
) -> Callable[[Predicate], Predicate]:
    """Puts a check into a table."""

    def add(predicate: Predicate) -> Predicate:
        table.append(Check(name, proves, ended, predicate))
        return predicate

    return add
