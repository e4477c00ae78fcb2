# SPDX-License-Identifier: Apache-2.0
"""Texts in quotes, as Go's strconv.Quote writes them."""

from __future__ import annotations

from tetrapy.go_quoting import quoted, shown


def test_quotes() -> None:
    """Go's escapes, for spaces and for what is not seen; other texts stay as they are."""
    for text in ("", "/bin/ls", 'a"b', "é日", "🚀"):
        assert shown(text) == text
    assert shown("a b") == '"a b"'
    assert quoted('"\\\a\b\f\n\r\t\v') == r'"\"\\\a\b\f\n\r\t\v"'
    assert quoted("\x00\x1b\x7f\x85\u200b\U000e0001") == r'"\x00\x1b\x7f\u0085\u200b\U000e0001"'
    assert shown("\u00a0") == r'"\u00a0"'


def test_quotes_know_the_unicode_of_go() -> None:
    """Characters of Unicode 12.1 to 15.0 are shown whatever Python runs; none has those without."""
    for text in ("\u061d", "\U0001f6dc", "\U0001fae8x", "\U00031350\U000323af"):
        assert shown(text) == text
    assert shown("\U0001fae8 ") == '"\U0001fae8 "'
    assert shown("\U0001fae8\u200b") == '"\U0001fae8\\u200b"'
    assert shown("\U000323b0") == r'"\U000323b0"'
