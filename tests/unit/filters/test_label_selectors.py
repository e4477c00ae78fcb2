# SPDX-License-Identifier: Apache-2.0
"""Label selectors in Kubernetes' form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.errors import SettingsError
from tetrapy.filters.json_objects import Place
from tetrapy.filters.label_selectors import any_selects

PLACE = Place("export-allowlist", 1)
LABELS = {"app": "web", "tier": "front", "example.com/size": "12", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", True),
        (" ", True),
        ("app", True),
        ("none", False),
        ("!none", True),
        ("! app", False),
        ("app=web", True),
        ("app == web", True),
        ("app=db", False),
        ("app!=db", True),
        ("none!=db", True),
        ("none=", False),
        ("empty=", True),
        ("app=web,tier=front", True),
        ("app=web, tier=back", False),
        ("tier in (front, back)", True),
        ("tier in(back)", False),
        ("none in (front)", False),
        ("tier notin (back)", True),
        ("tier notin (front,back)", False),
        ("none notin (front)", True),
        ("example.com/size>11", True),
        ("example.com/size > 12", False),
        ("example.com/size<13,app", True),
        ("app>1", False),
        ("none<1", False),
    ],
)
def test_a_selector(selector: str, expected: bool) -> None:
    """What holds for the labels, and for those that are not there."""
    assert any_selects([selector], PLACE)(LABELS) == expected
    assert any_selects(["none", selector], PLACE)(LABELS) == expected


@pytest.mark.parametrize(
    "selector",
    [",", "app,", "=web", "app=web tier=x", "app in web", "app in (a", "a b", "app>x", "!"],
)
def test_no_selector(selector: str) -> None:
    """Where it goes wrong is said."""
    with pytest.raises(SettingsError, match="label selector"):
        any_selects([selector], PLACE)


@given(st.text("ab=!,<>()in not01 ./-", max_size=40))
def test_any_text(text: str) -> None:
    """It is a selector, or it is refused."""
    try:
        found = any_selects([text], PLACE)(LABELS)
    except SettingsError:
        return
    assert found in {True, False}
