# SPDX-License-Identifier: Apache-2.0
"""Who has used up a policy's budget: an owner, those of a cgroup, or many who do not stand out."""

from __future__ import annotations

import pytest

from tetrapy.daemon.policy_budget import Budget
from tetrapy.sensors.policy.uses import Owner, Part

BLOCK = 3 << 16


def used(weights: dict[Part, int], seconds: float = 2.0) -> Budget:
    """Of a budget of ten seconds so much was used for these."""
    budget = Budget(10.0)
    budget.charge(seconds, weights, more=False)
    return budget


@pytest.mark.parametrize(
    ("weights", "owner"),
    [
        ({(1000, 5): 90, (1001, 5): 10}, Owner("OWNER_UID", 1000)),
        ({(1000, number): 1 for number in range(50)}, Owner("OWNER_UID", 1000)),
        ({(BLOCK, number): 1 for number in range(50)}, Owner("OWNER_UID", BLOCK)),
        ({(0, 7): 90, (0, 8): 10}, Owner("OWNER", 0, 7)),
    ],
    ids=["a uid", "in many cgroups", "a block of uids", "root in a cgroup"],
)
def test_who_has_used_more_than_is_left_stands_out(weights: dict[Part, int], owner: Owner) -> None:
    """One alone takes half of the budget."""
    assert used(weights, 4.9).standing_out() == []
    budget = used(weights, 6.0)
    assert budget.standing_out() == [owner]
    budget.silent.add(owner)
    assert budget.standing_out() == []
    assert not budget.exhausted(known=True)


@pytest.mark.parametrize(
    ("first", "kind"), [(1, "OWNER_CGROUP"), (BLOCK, "OWNER_SUBORDINATES")], ids=["uids", "blocks"]
)
def test_those_of_a_cgroup_stand_out_together(first: int, kind: str) -> None:
    """Where none of them does; root and others are not among them."""
    weights = {(first * (number + 1), 5): 10 for number in range(30)}
    weights |= {(0, 5): 3, (2, 6): 1}
    assert used(weights, 8.8).standing_out() == []
    budget = used(weights, 9.5)
    assert budget.standing_out() == [Owner(kind, 0, 5)]
    budget.silent.add(Owner(kind, 0, 5))
    assert budget.standing_out() == []
    assert not budget.exhausted(known=True)


def test_many_of_whom_nobody_stands_out() -> None:
    """The budget is used up; not before, and not while it is not known yet whose calls it was."""
    weights = {(number + 1, number): 1 for number in range(100)}
    assert not used(weights, 9.9).exhausted(known=True)
    assert used(weights, 12.0).exhausted(known=True)
    assert used(weights, 12.0).standing_out() == []
    assert not used({}, 12.0).exhausted(known=True)
    assert used({}, 12.0).exhausted(known=False)


def test_seven_leave_something() -> None:
    """As many may flood before others notice."""
    budget = Budget(10.0)
    for _ in range(200):
        told = {(number, 1): 1 for number in range(1, 8)}
        told = {part: 1 for part in told if Owner("OWNER_UID", part[0]) not in budget.silent}
        budget.charge(0.1 * bool(told), told, more=False)
        budget.silent.update(budget.standing_out())
    assert len(budget.silent) == 7
    assert budget.left > 1.0
    budget.charge(0.1, {(1000, 1): 1}, more=False)
    assert budget.standing_out() == []


def test_what_was_used_comes_back() -> None:
    """Who is silent is told again when but an eighth of the budget is left of it."""
    budget = used({(1000, 5): 90, (0, 5): 10}, 6.0)
    owner = Owner("OWNER_UID", 1000)
    budget.silent.add(owner)
    seconds = 0.0
    while not budget.come_again():
        budget.come_back(0.25)
        seconds += 0.25
    assert seconds == pytest.approx(4.75)
    assert budget.come_again() == [owner]
    assert budget.used == pytest.approx(1.25)
    budget.come_back(100.0)
    assert budget.left == 10.0


def test_what_waits_in_the_buffer_is_whose_it_is() -> None:
    """Records are read after they were sent, when their sender may be silent already."""
    budget = Budget(10.0)
    budget.charge(1.0, {(1000, 5): 1000}, more=True)
    for more in (True, False, True):  # the last look before was in the midst of the flood
        budget.charge(2.0, {(1001, 5): 1}, more=more)
    assert budget.standing_out() == [Owner("OWNER_UID", 1000)]
    budget = Budget(10.0)
    budget.charge(0.5, {(1000, 5): 1000}, more=False)
    budget.charge(1.0, {(1001, 5): 1}, more=False)
    budget.charge(5.5, {(1001, 5): 1}, more=False)
    assert budget.standing_out() == [Owner("OWNER_UID", 1001)]


def test_thousands_of_uids_of_a_cgroup() -> None:
    """Each has used nothing that is worth to be remembered; together they stand out."""
    budget = Budget(10.0)
    for start in range(0, 20_000, 2000):
        budget.charge(1.0, {(1000 + start + at, 5): 1 for at in range(2000)}, more=False)
    assert budget.standing_out() == [Owner("OWNER_CGROUP", 0, 5)]


@pytest.mark.slow
def test_what_is_remembered_is_bounded() -> None:
    """Of a user who has all uids and cgroups, while the buffer is never empty."""
    budget = Budget(10.0)
    for number in range(50):
        budget.charge(1.0, {(1 + number, at): 1 for at in range(2048)}, more=True)
    assert len(budget._sums) <= 3 * 1024
    assert len(budget._waiting) <= 4096
