# SPDX-License-Identifier: Apache-2.0
"""What a harvest tells: while it runs, and at its end."""

from __future__ import annotations

from typing import List, Tuple

from tetrapy.named import NamedTuple

DONE = "done"  # its BTF was written
ALREADY_THERE = "kept"  # its BTF was there already, from an earlier run or another input
SKIPPED = "passed"  # found in a directory, and no kernel is in it
DAMAGED = "damaged"  # it should have given a BTF and did not


class Progress(NamedTuple):
    """`done` of `total` inputs are finished, `size` bytes of BTF written; `name` is at work."""

    done: int
    total: int
    size: int
    name: str


class Outcome(NamedTuple):
    """What became of one input.

    `name`: the input as it was found; `state`: one of the words above; `key`: the kernel, as
    `ID/VERSION_ID/arch/<uname -r>`, "" where it is not known; `size`: bytes of BTF written now;
    `notes`: what the operator should know though it is no error (minimized BTF, other name than
    the file's ...); `error`: why it was passed or is damaged.
    """

    name: str
    state: str
    key: str = ""
    size: int = 0
    notes: Tuple[str, ...] = ()
    error: str = ""


class Result(NamedTuple):
    """The outcomes of all inputs, in the order in which these were found."""

    outcomes: List[Outcome]

    def of(self, state: str) -> List[Outcome]:
        """The outcomes in that state."""
        return [outcome for outcome in self.outcomes if outcome.state == state]

    @property
    def complete(self) -> bool:
        """Whether no input is damaged: the exit code."""
        return not self.of(DAMAGED)

    def __str__(self) -> str:
        counts = [(len(self.of(state)), state) for state in (DONE, ALREADY_THERE, SKIPPED, DAMAGED)]
        return ", ".join(f"{count} {state}" for count, state in counts if count) or "no inputs"


def reason(err: Exception) -> str:
    """What to tell of an error whose file is named already."""
    if isinstance(err, OSError):
        return (err.strerror or str(err)).lower()
    return str(err)
