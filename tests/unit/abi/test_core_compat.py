# SPDX-License-Identifier: Apache-2.0
"""Which types of a program and of a kernel stand for each other."""

from __future__ import annotations

import pytest

from tests.support.builders import BtfBuilder
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_compat import essential_name, types_match


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("s", "s"),
        ("s___old", "s"),
        ("s___a___b", "s___a"),
        ("s____b", "s____b"),
        ("___x", "___x"),
        ("s___", "s___"),
        ("s____", "s____"),
        ("a___b___", "a"),
        ("", ""),
    ],
)
def test_a_flavour_is_what_follows_three_underscores(name: str, bare: str) -> None:
    """As bpf_core_essential_name_len() in libbpf.c has it."""
    assert essential_name(name) == bare


def callback(parameters: list[str], result: str) -> Btf:
    """A typedef fn of a pointer to a function."""
    b = BtfBuilder()
    ids = {
        "int": b.integer("int", 4),
        "long": b.integer("long", 8),
        "struct": b.composite("s", 4, []),
        "fwd": b.add(k.KIND_FWD, "s"),
        "void": 0,
    }
    ids["struct *"] = b.add(k.KIND_PTR, ref=ids["struct"])
    ids["fwd *"] = b.add(k.KIND_PTR, ref=ids["fwd"])
    body = [word for name in parameters for word in (0, ids[name])]
    made = b.add(k.KIND_FUNC_PROTO, "", ids[result], body, len(parameters))
    b.add(k.KIND_TYPEDEF, "fn", b.add(k.KIND_PTR, ref=made))
    return Btf(b.build())


@pytest.mark.parametrize(
    ("parameters", "result", "fits"),
    [
        (["int", "struct *"], "void", True),
        (["long", "struct *"], "void", True),
        (["int", "fwd *"], "void", False),
        (["int"], "void", False),
        (["struct *", "int"], "void", False),
        (["int", "struct *"], "int", False),
    ],
)
def test_typedefs_fit_by_what_they_stand_for(
    parameters: list[str], result: str, fits: bool
) -> None:
    """Functions by the kinds of all their parameters and of the result."""
    local, target = callback(["int", "struct *"], "void"), callback(parameters, result)
    mine, theirs = local.find("fn"), target.find("fn")
    assert mine is not None
    assert theirs is not None
    assert types_match(local, mine.id, target, theirs.id) is fits
