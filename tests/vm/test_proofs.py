# SPDX-License-Identifier: Apache-2.0
"""What the kernel's own memory proves, and refutes, about layouts that only it can know."""

from __future__ import annotations

import re

from tests.vm.guests import Guest
from tetrapy.btf.inference.candidates import same_names


def test_the_right_layout_passes(guest: Guest) -> None:
    """The checks of the kernel's full BTF fail at nothing."""
    assert guest.record["probe"]["failed"] == [], guest.record["probe"]
    assert guest.record["probe"]["doubtful"] == [], guest.record["probe"]


def test_the_ways_of_older_kernels(guest: Guest) -> None:
    """Read by a program that is attached, as before Linux 5.10, memory proves the same."""
    old_way = guest.record["probe"]["old_way"]
    assert {"failed", "unproven", "doubtful"} <= set(old_way)
    assert not any(old_way.values()), old_way


def test_what_is_altered_is_refused(guest: Guest) -> None:
    """Of layouts that differ in one check none passes, unless that query is told to be unproven."""
    probe, known = guest.record["probe"], guest.known
    altered = [re.search(r"/altered\.(\d+)\.(.*)$", name) for name in probe["passed"]]
    believed = {known.queries.names[int(match[1])]: match[2] for match in altered if match}
    assert set(believed) <= set(probe["unproven"]), believed


def test_other_kernels_are_refused(guest: Guest) -> None:
    """Of the layouts in the shipped archive that are not this kernel's none passes."""
    probe = guest.record["probe"]
    assert guest.known.key in probe["passed"]
    assert [name for name in probe["passed"] if "/known." in name] == []
    assert probe["tested"] > len(guest.known.queries.names)


def test_scan_finds_the_layout(guest: Guest) -> None:
    """What a scan finds is what the full BTF says, need by need, but for what it leaves out."""
    scan, queries = guest.record["probe"]["scan"], guest.known.queries.names
    assert scan["answers"] is not None, scan["reason"]
    # Which of a renamed field's two names the kernel has does not show in its memory.
    found, right = (
        same_names(queries, answers) for answers in (scan["answers"], guest.known.answers)
    )
    differ = [
        trio
        for trio in zip(queries, found, right, strict=True)
        if trio[1] != trio[2] and trio[0] not in scan["off"]
    ]
    assert differ == []


def test_scan_leaves_out_no_program(guest: Guest) -> None:
    """What a scan leaves out, the kernel's full BTF does not have either."""
    scan, known = guest.record["probe"]["scan"], guest.known
    has = {
        query for query, answer in zip(known.queries.names, known.answers, strict=True) if answer
    }
    assert not has & set(scan["off"])
    assert scan["doubtful"] == []
