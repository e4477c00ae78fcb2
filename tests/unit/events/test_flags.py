# SPDX-License-Identifier: Apache-2.0
"""The words of Process.flags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.events import flags
from tetrapy.events.flags import flag_words

# Tetragon's table, in the order in which its words are printed.
WORDS = {
    0x1: "execve",
    0x4: "procFS",
    0x8: "errorEnvs",
    0x10: "truncArgs",
    0x40: "miss",
    0x100: "errorFilename",
    0x200: "errorArgs",
    0x800: "nocwd",
    0x1000: "rootcwd",
    0x2000: "errorCWD",
    0x4000: "clone",
    0x10000: "errorCgroupName",
    0x200000: "errorCgroupID",
    0x40000: "errorCgroupSubsysCgrp",
    0x80000: "errorCgroupSubsys",
    0x100000: "errorCgroups",
    0x400000: "errorPathResolutionCwd",
    0x800000: "dataFilename",
    0x1000000: "dataArgs",
    0x2000000: "inInitTree",
}


@pytest.mark.parametrize("bit", [1 << number for number in range(32)])
def test_each_bit_has_its_word(bit: int) -> None:
    """A bit alone gives Tetragon's word, and nothing where Tetragon has none."""
    assert flag_words(bit) == WORDS.get(bit, "")


@given(st.integers(0, 2**32 - 1))
def test_words_stand_in_tetragons_order(bits: int) -> None:
    """Any combination is the words of its bits, in the table's order, once each."""
    expected = " ".join(word for bit, word in WORDS.items() if bits & bit)
    assert flag_words(bits) == expected


@pytest.mark.parametrize(
    ("bits", "shown"),
    [
        (0, ""),
        (flags.EXECVE | flags.CLONE, "execve clone"),
        (flags.EXECVE | flags.CLONE | flags.ROOT_CWD, "execve rootcwd clone"),
        (flags.EXECVE | flags.CLONE | flags.IN_INIT_TREE, "execve clone inInitTree"),
        (flags.PROCFS | flags.ROOT_CWD, "procFS rootcwd"),
        (flags.PROCFS | flags.ROOT_CWD | flags.ERROR_CWD, "procFS rootcwd errorCWD"),
    ],
)
def test_typical_combinations(bits: int, shown: str) -> None:
    """The combinations that a normal machine shows read as Tetragon's."""
    assert flag_words(bits) == shown


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("TRUNC_ARGS", "truncArgs"),
        ("MISS", "miss"),
        ("ERROR_FILENAME", "errorFilename"),
        ("ERROR_ARGS", "errorArgs"),
        ("NO_CWD", "nocwd"),
        ("ERROR_CWD", "errorCWD"),
        ("ERROR_CGROUP_NAME", "errorCgroupName"),
        ("ERROR_PATH_COMPONENTS", "errorPathResolutionCwd"),
        ("DATA_FILENAME", "dataFilename"),
        ("DATA_ARGS", "dataArgs"),
    ],
)
def test_names_stand_for_their_bits(name: str, word: str) -> None:
    """The names that the agent sets flags by mean the words that they say."""
    assert flag_words(getattr(flags, name)) == word
