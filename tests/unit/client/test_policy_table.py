# SPDX-License-Identifier: Apache-2.0
"""The table of policies, beside what the tests of the client's calls have of it."""

from __future__ import annotations

from tetrapy.client.policy_table import lines


def test_whose_calls_are_not_reported() -> None:
    """Below the policy, under its name; nobody counts the calls of all."""
    at = "2026-11-30T10:00:00Z"
    throttled = [
        {"uid": "1000", "since": at, "unreported": "5"},
        {"cgroup": "77", "since": at, "unreported": "6"},
        {"since": at},
    ]
    head, first, *more, last = lines([{"id": "1", "throttled": throttled}, {"id": "2"}])
    assert (first[0], last[0]) == ("1", "2")
    indent = " " * head.index("NAME")
    assert more == [
        f"{indent}calls not reported: {whose}, since {at}: they keep the agent busy"
        for whose in ("5 of uid 1000", "6 of all uids in cgroup 77", "of all uids")
    ]
