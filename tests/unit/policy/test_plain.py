# SPDX-License-Identifier: Apache-2.0
"""TracingPolicy: policies as values that JSON has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.unit.policy.test_golden import CASES
from tests.unit.policy.test_parser import TWO
from tetrapy.errors import PolicyError
from tetrapy.policy.plain import plain, policy_of
from tetrapy.policy.read import read_policy

FILES = sorted((ROOT / "policies").glob("*.yaml"))
GOLDEN = sorted(CASES.glob("*/*.yaml"))


@pytest.mark.parametrize(
    "path", [*FILES, *GOLDEN], ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_a_policy_comes_back(path: Path) -> None:
    """Those of the library, and those that the real Tetragon answered, where they are at hand."""
    try:
        policy = read_policy(path.read_text(encoding="utf-8")).policy
    except PolicyError:
        return
    assert policy_of(json.loads(json.dumps(plain(policy)))) == policy


def test_there_are_policies() -> None:
    """Else the above would say nothing."""
    assert len(FILES) > 5


def test_kinds_of_values_are_told_apart() -> None:
    """Tuples, mappings with any keys, nothing, truth, large numbers, texts with any characters."""
    text = TWO.replace(
        '  name: "two"   # a comment',
        '  name: "two"\n  labels: {"": "[", "Spec": "\\ud7ff\\u0000\\U0010ffff", "a": ""}',
    )
    policy = read_policy(text).policy
    assert policy.metadata.labels[""] == "["
    back = policy_of(json.loads(json.dumps(plain(policy))))
    assert back == policy
    assert back.spec.kprobes[0].return_arg == policy.spec.kprobes[0].return_arg
    assert back.spec.kprobes[1].return_arg is None


@pytest.mark.parametrize(
    "value", [None, [], ["Object"], ["Metadata"], ["Policy"], [""], {}, "Policy"]
)
def test_what_is_no_policy(value: object) -> None:
    """Other values are refused, with errors that are known."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        policy_of(value)
