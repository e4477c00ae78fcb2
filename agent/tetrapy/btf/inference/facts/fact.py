# SPDX-License-Identifier: Apache-2.0
"""One fact about the subject: what it proves, when it holds, and how it is checked."""

from __future__ import annotations

from typing import Callable, List, Optional, Tuple

from tetrapy.btf.inference.memory import Unreadable
from tetrapy.btf.inference.subject import Subject
from tetrapy.btf.inference.view import Missing, View
from tetrapy.named import NamedTuple

Check = Callable[[View, Subject], Optional[bool]]


class Fact(NamedTuple):
    """`check` says whether it holds in a view, or None where this host cannot tell.

    `proves` are short names of needs (`view.key`).  `ended` facts hold after Subject.end() only,
    the others before it only.
    """

    name: str
    proves: Tuple[str, ...]
    ended: bool
    check: Check

    def holds(self, view: View, subject: Subject) -> Optional[bool]:
        """What `check` says; what cannot be read, or the layout does not have, does not hold."""
        try:
            return self.check(view, subject)
        except (Unreadable, Missing):
            return False


def fact(
    table: List[Fact], name: str, *proves: str, ended: bool = False
) -> Callable[[Check], Check]:
    """Puts a check into a table."""

    def add(check: Check) -> Check:
        table.append(Fact(name, proves, ended, check))
        return check

    return add
