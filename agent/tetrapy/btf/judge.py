"""Whether facts are those of the running kernel, as far as that can be found out here."""

from __future__ import annotations

import contextlib
from typing import Callable, ContextManager, FrozenSet, Iterable, Optional

from tetrapy.abi.core_needs import Facts, Needs
from tetrapy.btf import serving
from tetrapy.btf.inference.examiner import Examiner
from tetrapy.errors import TetrapyError

_SHOWN = 3

# log(level, message, **fields); names of fields may contain hyphens.
Log = Callable[..., None]
# Makes an examiner of the running kernel, for a `with`.
Examine = Callable[[Needs, FrozenSet[str]], ContextManager[Examiner]]


class Judge:
    """Facts are compared with what the objects need and with the running kernel.

    The examination of the kernel is prepared when it is first needed, and given back by `close`.
    """

    def __init__(
        self, objects: Iterable[bytes], examine: Optional[Examine], log: Log, *, check: bool = True
    ) -> None:
        """`examine` None: this is not about the running kernel, or it cannot be examined."""
        images = list(objects)
        self.needs = Needs(images)
        self._guards = serving.guards(images)
        self._optional = serving.optional(self.needs.names, self._guards)
        self._examine = examine
        self._check = check
        self._log = log
        self._acquired = contextlib.ExitStack()
        self._examiner: Optional[Examiner] = None

    def examiner(self) -> Optional[Examiner]:
        """The examiner of the running kernel; None if it is not to be examined.

        Raises TetrapyError if it cannot be.
        """
        if self._examiner is None and self._examine is not None:
            self._examiner = self._acquired.enter_context(self._examine(self.needs, self._optional))
        return self._examiner

    def close(self) -> None:
        """Give back what the examination acquired."""
        self._acquired.close()
        self._examiner = None

    def reject(self, facts: Facts, origin: str) -> str:
        """Why these facts must not be used; empty if they may."""
        missing = serving.missing(self.needs.names, facts, self._guards)
        if missing:
            return f"lacks what tetrapy's programs read: {_some(missing)}"
        if not self._check:
            return ""
        try:
            examiner = self.examiner()
            if examiner is None:
                return ""
            found = examiner.check(facts)
        except TetrapyError as err:
            self._log("warn", "BTF is used unchecked", btf=origin, error=str(err))
            return ""
        if found.failed:
            return f"is not the running kernel's: {_some(found.failed)}"
        if found.unproven:
            unproven = "; ".join(found.unproven)
            self._log("debug", "BTF could not be checked in these", btf=origin, unproven=unproven)
        return ""


def _some(texts: Iterable[str]) -> str:
    listed = list(texts)
    rest = len(listed) - _SHOWN
    return "; ".join(listed[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
