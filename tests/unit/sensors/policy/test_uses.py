# SPDX-License-Identifier: Apache-2.0
"""Who stands for calls, and how that is said."""

from __future__ import annotations

import pytest

from tetrapy.sensors.policy.uses import Owner, Part, group_of, owner_of

BLOCK = 3 << 16


@pytest.mark.parametrize(
    ("part", "owner", "group"),
    [
        ((1000, 5), "uid 1000", "all uids in cgroup 5"),
        ((0, 5), "uid 0 in cgroup 5", None),
        ((65535, 5), "uid 65535", "all uids in cgroup 5"),
        ((BLOCK, 5), "uid 196608-262143", "subordinate uids in cgroup 5"),
    ],
)
def test_who_stands_for_a_call(part: Part, owner: str, group: str | None) -> None:
    """As bpf/share.h has it; root is with nobody."""
    assert str(owner_of(part)) == owner
    found = group_of(part)
    assert (str(found) if found else None) == group


@pytest.mark.parametrize(
    ("owner", "texts"),
    [
        (Owner("OWNER_UID", 1000), ("1000", "")),
        (Owner("OWNER", 0, 5), ("0", "5")),
        (Owner("OWNER_CGROUP", 0, 5), ("", "5")),
        (Owner("OWNER_SUBORDINATES", 0, 5), ("subordinate", "5")),
    ],
)
def test_labels(owner: Owner, texts: tuple[str, str]) -> None:
    """Of the log, the list and metrics."""
    assert (owner.uids, owner.cgroups) == texts
