# SPDX-License-Identifier: Apache-2.0
"""Marks of images: the sets of the kernel side and the look at old processes say the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.sensors.policy.marks import MOST, UNKNOWN, Marks, Seen

PATHS = st.text("/ab", max_size=6).map(str.encode)
FILTERS = st.lists(
    st.tuples(
        st.sampled_from(["Equal", "Prefix", "Postfix"]),
        st.lists(PATHS.filter(bool), min_size=1, max_size=3),
    ),
    max_size=8,
)


def longest(members: list[tuple[int, bytes]], says: list[int], key: bytes) -> int:
    """What a trie of the kernel says."""
    found = [
        (bits, said)
        for (bits, data), said in zip(members, says, strict=True)
        if key.startswith(data)
    ]
    return max(found, default=(0, 0))[1]


@pytest.mark.slow
@given(FILTERS, PATHS.filter(bool))
def test_a_path_has_the_marks_of_all_filters_that_hold(
    filters: list[tuple[str, list[bytes]]], path: bytes
) -> None:
    """Also where a member of a set is the beginning of another one."""
    marks = Marks()
    expected = 0
    for operator, texts in filters:
        bit = marks.claim().of_binaries(operator, texts)
        holds = {
            "Equal": path in texts,
            "Prefix": path.startswith(tuple(texts)),
            "Postfix": path.endswith(tuple(texts)),
        }
        expected |= bit if holds[operator] else 0
    sets = marks.sets()
    empty: tuple[list[tuple[int, bytes]], list[int]] = ([], [])
    looked_up = longest(*sets.get("path_set", empty), path + b"\0")
    looked_up |= longest(*sets.get("end_set", empty), path[::-1] + b"\0")
    assert looked_up == expected
    assert marks.of(Seen(path, 1, 0)) == (expected, 0)


def test_pids() -> None:
    """In the initial namespace, and in their own if they have one."""
    marks = Marks()
    claim = marks.claim()
    outer, inner = claim.of_pids([7, 300], inner=False), claim.of_pids([7], inner=True)
    assert marks.of(Seen(b"/x", 7, 0)) == (0, outer)
    assert marks.of(Seen(b"/x", 300, 7)) == (0, outer | inner)
    members, says = marks.sets()["pid_set"]
    assert {data: said for (_, data), said in zip(members, says, strict=True)} == {
        (7).to_bytes(8, "big"): outer,
        (300).to_bytes(8, "big"): outer,
    }


def test_what_only_the_host_has() -> None:
    """A mark of its own, which no other file at the path gets, and sets of its own."""
    marks = Marks()
    claim = marks.claim()
    any_file, hosts = claim.of_binaries("Equal", [b"/x"]), claim.of_binaries("Equal", [b"/x"], True)
    ends = claim.of_binaries("Postfix", [b"x"], True)
    assert marks.of(Seen(b"/x", 1, 0)) == (any_file | hosts | ends, 0)
    assert marks.of(Seen(b"/x", 1, 0, is_hosts=False)) == (any_file, 0)
    assert {name: says for name, (_, says) in marks.sets().items()} == {
        "path_set": [any_file],
        "hosts_path_set": [hosts],
        "hosts_end_set": [ends],
    }


def test_what_is_not_known_counts_as_wanted() -> None:
    """Filters look at this bit, too."""
    marks = Marks()
    assert not marks.asked
    marks.claim().of_binaries("Equal", [b"/x"])
    assert marks.asked
    assert marks.of(Seen(None, 1, 0)) == (UNKNOWN, 0)


def test_equal_filters_share_a_mark() -> None:
    """There are 63; the order of values does not matter."""
    claim = Marks().claim()
    bit = claim.of_binaries("Equal", [b"/x", b"/y"])
    assert claim.of_binaries("Equal", [b"/y", b"/x", b"/x"]) == bit
    for number in range(MOST - 1):
        claim.of_binaries("Prefix", [b"%d" % number])
    with pytest.raises(PolicyUnsupportedError, match="more than 63 filters that differ"):
        claim.of_binaries("Prefix", [b"/"])
    assert claim.of_binaries("Prefix", [b"5"])


def test_what_nobody_asks_any_more_is_free() -> None:
    """What two policies ask stays for the second; a mark that had a meaning is taken last."""
    marks = Marks()
    one, two = marks.claim(), marks.claim()
    shared, own = one.of_binaries("Equal", [b"/x"]), one.of_binaries("Equal", [b"/y"])
    assert two.of_binaries("Equal", [b"/x"]) == shared
    assert marks.fresh == shared | own
    marks.release(one)
    assert (marks.asked, marks.stale) == (True, own)
    assert marks.of(Seen(b"/x", 1, 0)) == (shared, 0)
    more = [two.of_binaries("Prefix", [b"%d" % number]) for number in range(MOST - 1)]
    assert more[-1] == own
    assert own not in more[:-1]
    marks.release(two)
    assert (marks.asked, marks.sets()) == (False, {})
