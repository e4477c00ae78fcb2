# SPDX-License-Identifier: Apache-2.0
"""Modules that are compiled ahead."""

from __future__ import annotations

import importlib.util
import marshal
import types

import pytest

from tools.bytecode import compiled

SOURCE = b'''"""What it is."""
from __future__ import annotations

class Mistake(Exception):
    """Of somebody."""

def check(value: int) -> int:
    """The value."""
    assert value, "none"
    return value
'''
HEAD = 16  # bytes of a .pyc before its code (PEP 552)


def test_docstrings_are_left_out_and_asserts_are_not() -> None:
    """What runs is the same, on the same lines."""
    data = compiled({"one.py": SOURCE, "more.lark": b"start:"})
    assert list(data) == ["one.pyc"]
    assert data["one.pyc"].startswith(importlib.util.MAGIC_NUMBER)
    module = types.ModuleType("one")
    exec(marshal.loads(data["one.pyc"][HEAD:]), module.__dict__)
    assert module.__doc__ is None
    assert module.Mistake.__doc__ is None
    assert module.check.__doc__ is None
    assert module.check.__code__.co_firstlineno == 7
    assert module.check(3) == 3
    with pytest.raises(AssertionError, match="none"):
        module.check(0)
