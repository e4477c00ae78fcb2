# SPDX-License-Identifier: Apache-2.0
"""The figures of policies, from what the guest's driver wrote."""

from __future__ import annotations

from typing import Any

from bench import policies
from bench.policy_driver import BURST, BURSTS, POLICIES
from tests.support.policy_agent import policy
from tetrapy.policy.read import read_policy


def life(**more: Any) -> dict[str, Any]:
    """An agent's life of round numbers."""
    made = {
        "start": 2e9,
        "memory": {"rss": 9_000_000},
        "descriptors": [{"verified_insns": "700"}, {"map_id": "1"}],
        "policies": [{"kernel_memory_bytes": 4000, "error": ""}],
        "calls": 3_000,
    }
    return {**made, **more}


RECORD: dict[str, Any] = {
    "count": 10,
    "pread": 1_000,
    "getpgid": 500,
    "none": life(start=1e9, memory={"rss": 5_000_000}, descriptors=[{"verified_insns": "200"}]),
    "files": life(),
    "prefix": life(calls=2_000),
    "number": life(calls=1_500),
    "matching": life(
        bursts=[{"wall": 200 * BURST, "during": 40 * BURST, "cpu": 60 * BURST}] * BURSTS,
        lines=BURST * BURSTS - 7,
    ),
}


def test_each_figure() -> None:
    """Differences to the agent without a policy, and for each call to the same without an agent."""
    found = {row.title: row.value for row in policies.rows(RECORD)}
    assert list(found.values()) == [2, 1, 0.5, 4, 4, 4, 100, 200, 100, 0.06, 0.06, 7]


def test_the_table_has_a_line_for_each() -> None:
    """With the aim and Tetragon's figure."""
    rows = policies.rows(RECORD)
    lines = policies.table(rows).splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[-1].split()[-3:] == ["7.00", "0", "871"]


def test_the_policies_are_policies() -> None:
    """Without a mistake: the guest would tell only after minutes."""
    for name, (hooks, _) in POLICIES.items():
        assert not read_policy(policy(name, {"kprobes": hooks})).warnings
