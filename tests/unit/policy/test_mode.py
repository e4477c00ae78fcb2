# SPDX-License-Identifier: Apache-2.0
"""Policies with another mode."""

from __future__ import annotations

import pytest

from tests.support.policies import kprobe
from tetrapy.errors import SettingsError
from tetrapy.policy.mode import with_mode
from tetrapy.policy.read import read_policy


def test_the_option_is_added() -> None:
    """To a policy without options, which stays what it was otherwise."""
    text = with_mode(kprobe(""), "monitor")
    before, after = read_policy(kprobe("")).policy, read_policy(text).policy
    assert [(one.name, one.value) for one in after.spec.options] == [("policy-mode", "monitor")]
    assert after.spec.kprobes == before.spec.kprobes


def test_the_option_is_replaced() -> None:
    """Other options stay, in their order."""
    text = "spec:\n  options: [{name: policy-mode, value: x}, {name: o, value: '1'}] # why\n"
    assert with_mode(text, "enforce") == (
        "spec:\n  options: [{name: o, value: '1'}, {name: policy-mode, value: enforce}]\n"
    )


@pytest.mark.parametrize("text", ["", "[]", "a: b", "spec: 1", "spec: {options: 1}", "{", "a: *b"])
def test_what_is_no_policy(text: str) -> None:
    """It is refused."""
    with pytest.raises(SettingsError):
        with_mode(text, "monitor")
