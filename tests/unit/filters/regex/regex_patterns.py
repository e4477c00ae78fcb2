# SPDX-License-Identifier: Apache-2.0
"""Patterns of all kinds, for properties."""

from __future__ import annotations

from hypothesis import strategies as st

atoms = st.sampled_from(
    r"a b c ab . \d \w \W \s [a-c] [^a] \b ^ $ \A \z [[:alpha:]] \pL \PN (?i) (?s) (?m)".split()
)
patterns = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        inner.map("({})".format),
        st.tuples(inner, st.sampled_from("* + ? *? +? ?? {2} {1,3} {0,2}?".split())).map(
            lambda both: f"(?:{both[0]}){both[1]}"
        ),
    ),
    max_leaves=8,
)
