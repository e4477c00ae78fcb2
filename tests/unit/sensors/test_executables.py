# SPDX-License-Identifier: Apache-2.0
"""Asking the kernel which executables were executed, without a kernel."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from tetrapy.errors import KernelError
from tetrapy.sensors import executables
from tetrapy.sensors.executables import Executables

ASKED = frozenset((7, 8))


class Iterator:
    """Answers with pids; `seconds` pass meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> None:
        self.answers = list(answers)
        self.now, self.seconds = 100.0, 0.01
        monkeypatch.setattr(executables.time, "monotonic", lambda: self.now)

    def iterate(self, program: str) -> bytes:
        self.now += self.seconds
        answer = self.answers.pop(0)
        if isinstance(answer, KernelError):
            raise answer
        return array("I", answer).tobytes()


def test_it_is_asked_a_tenth_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meanwhile nothing is known of anybody."""
    iterator = Iterator(monkeypatch, [7, 9], [])
    asked = Executables(iterator)  # type: ignore[arg-type]
    assert set(asked.doubtful(ASKED)) == {7, 9}
    iterator.now += 0.09
    assert asked.doubtful(ASKED) == ASKED
    iterator.now += 0.02
    assert not asked.doubtful(ASKED)


def test_no_answer_is_none_that_clears(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that refuses the iterator now has not said that anything was executed."""
    asked = Executables(Iterator(monkeypatch, KernelError("not run", 12)))  # type: ignore[arg-type]
    assert set(asked.doubtful(ASKED)) == ASKED
