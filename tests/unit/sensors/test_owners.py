# SPDX-License-Identifier: Apache-2.0
"""Whose records were lost: sums that stay small, and their text."""

from __future__ import annotations

from tetrapy.sensors.owners import OTHERS, OWNERS, Owner, bounded, describe_owners


def test_owners_are_bounded() -> None:
    """However many lose something, so many are named; all are counted, and no sum shrinks."""
    totals: dict[Owner, int] = {}
    for turn in range(5):
        new = {(str(uid), "1"): turn + 1 for uid in range(40 * turn, 40 * turn + 80)}
        before = dict(totals)
        totals = bounded(totals, new)
        assert all(totals[owner] >= count for owner, count in before.items())
    assert len(totals) == OWNERS + 1
    assert sum(totals.values()) == 80 * (1 + 2 + 3 + 4 + 5)
    assert totals[OTHERS] > 0


def test_the_log_names_those_who_lost_most() -> None:
    """Three of them, and how much the rest lost."""
    new = {("1000", "7"): 5, ("1001", "7"): 50, ("0", "9"): 1, ("65534", "1"): 20, ("8", "1"): 2}
    assert describe_owners(new) == (
        "uid 1001 in cgroup 7: 50, uid 65534 in cgroup 1: 20, uid 1000 in cgroup 7: 5, 2 others: 3"
    )
    assert describe_owners({("8", "1"): 2}) == "uid 8 in cgroup 1: 2"
