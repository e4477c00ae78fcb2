# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is to have a container asked for, and how many may wait."""

from __future__ import annotations

import threading

from tetrapy.containers.questions import Questions


def taken(questions: Questions[str], count: int) -> list[str | None]:
    """The next ones."""
    return [questions.take() for _ in range(count)]


def test_turns() -> None:
    """One of each, in the order in which they came; who has more waits for the others."""
    questions: Questions[str] = Questions(100)
    for name in ("a1", "a2", "a3", "b1", "c1", "c2"):
        assert questions.put(name[0], name)
    assert taken(questions, 3) == ["a1", "b1", "c1"]
    assert questions.put("b", "b2")
    assert taken(questions, 4) == ["a2", "c2", "b2", "a3"]


def test_as_many_as_are_left_to_others() -> None:
    """One takes half of the room, the next one half of the rest; what was taken gives it back."""
    questions: Questions[int] = Questions(100)
    counts = [sum(questions.put(maker, number) for number in range(200)) for maker in range(4)]
    assert counts == [50, 25, 13, 6]
    assert [questions.put("last", number) for number in range(2)] == [True, True]
    while counts[0]:
        counts[0] -= questions.take() is not None
    assert questions.put(9, 1)


def test_the_end() -> None:
    """Who waits for a question, or would take one, learns that there are none any more."""
    questions: Questions[str] = Questions(10)
    found: list[str | None] = []
    waits = threading.Thread(target=lambda: found.append(questions.take()))
    waits.start()
    questions.close()
    waits.join()
    assert found == [None]
    questions.put("a", "a1")
    assert questions.take() is None
