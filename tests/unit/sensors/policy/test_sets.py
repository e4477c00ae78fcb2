# SPDX-License-Identifier: Apache-2.0
"""Sets of texts: looked up as the kernel side does, they say what the operators mean."""

from __future__ import annotations

import random

from tetrapy.sensors.policy.sets import telling_byte, text_sets

MOST = 256
MEANINGS = {
    "Equal": lambda text, value: text == value,
    "Prefix": lambda text, value: text.startswith(value),
    "Postfix": lambda text, value: text.endswith(value),
}


def looked_up(operator: str, texts: list[bytes], text: bytes) -> bool:
    """What text_holds() of bpf/call_filter.h says, for one of the sets."""
    for end, members in text_sets(operator, texts, MOST):
        if end > len(text):
            continue
        part = text[len(text) - end :] if end else text
        whole = [member for _, member in members]
        telling, words = telling_byte(whole)
        byte = (part + b"\0")[telling] if len(part) >= telling else 256
        if byte > 255 or not words[byte >> 6] >> (byte & 63) & 1:
            continue
        key = (part + b"\0")[: max(map(len, whole))]
        if any(key.startswith(member) for member in whole):
            return True
    return False


def test_no_text_fails_by_its_telling_byte_alone() -> None:
    """Random texts of few letters: each look-up has the answer that the operator has."""
    rng = random.Random(8)

    def text() -> bytes:
        return bytes(rng.choices(b"/ab\xff", k=rng.randrange(1, 6)))

    holds = 0
    for _ in range(5000):
        operator = rng.choice(list(MEANINGS))
        values = [text() for _ in range(rng.randrange(1, 4))]
        asked = rng.choice(values) + text() if rng.random() < 0.3 else text()
        meant = any(MEANINGS[operator](asked, value) for value in values)
        assert looked_up(operator, values, asked) == meant, (operator, values, asked)
        holds += meant
    assert 500 < holds < 4500


def test_the_byte_where_paths_differ_is_looked_at() -> None:
    """Slashes and zero bytes tell nothing, and paths begin alike."""
    assert telling_byte([b"/etc"])[0] == 3
    assert telling_byte([b"/etc/ssl/a", b"/etc/ssl/b"])[0] == 7
    assert telling_byte([b".login\0", b".netrc\0"])[0] == 0
    assert telling_byte([b""]) == (0, [(1 << 64) - 1] * 4)
