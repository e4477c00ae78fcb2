# SPDX-License-Identifier: Apache-2.0
"""Modules that are compiled ahead."""

from __future__ import annotations

import importlib.util
import marshal
import subprocess
import sys
import types

import pytest

from tests.support.paths import ROOT
from tools.bytecode import _bare, compiled

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
    assert module.check.__annotations__ == {}
    assert module.check.__code__.co_firstlineno == 7
    assert module.check(3) == 3
    with pytest.raises(AssertionError, match="none"):
        module.check(0)


def test_what_was_done_before_does_not_matter() -> None:
    """The bytes are the same, whoever interned or holds texts, and whatever the hashes are."""
    source = (
        SOURCE
        + b"""
def shown(value):
    if value in {"one", "a text", "{", "}", 1.5}:
        return value not in {"}", "a text", "one", 1.5, "{"}
    return {"{": f"{{{value}}}", "a text": [x in {"one", "two"} for x in value]}
"""
    )
    program = f"""
import sys
if sys.argv[1:]:
    held = [sys.intern(chr(at)) for at in range(256)] + [sys.intern("a text"), sys.intern("one")]
    import ast, tokenize, unittest
from tools.bytecode import compiled
sys.stdout.buffer.write(compiled({{"one.py": {source!r}}})["one.pyc"])
"""
    made = {
        subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for words in ([], ["more"])
        for seed in ("1", "2")
    }
    assert len(made) == 1


def test_a_module_has_a_name_once() -> None:
    """Its functions share the file's name, in the file and in memory."""
    data = compiled({"a/module.py": b"def one(): pass\n\ndef two(): pass\n"})["a/module.pyc"]
    assert data.count(b"a/module.py") == 1
    one, two = (x for x in marshal.loads(data[HEAD:]).co_consts if isinstance(x, types.CodeType))
    assert one.co_filename is two.co_filename


def test_lines_are_kept_and_columns_are_not() -> None:
    """Of each instruction, however long a statement or far away the next line is."""
    source = SOURCE + b"\n" * 200 + b"def far():\n    return [one\n for one in range(7)]\n"
    source += b"numbers = {" + b"1: 2, " * 300 + b"}\n"
    code = marshal.loads(compiled({"one.py": source})["one.pyc"][HEAD:])
    expected = compile(_bare(source), "one.py", "exec", dont_inherit=True)

    def compare(mine: types.CodeType, theirs: types.CodeType) -> None:
        assert list(mine.co_lines()) == list(theirs.co_lines())
        assert mine.co_code == theirs.co_code
        assert {place[2:] for place in mine.co_positions()} == {(None, None)}
        for one, other in zip(mine.co_consts, theirs.co_consts, strict=True):
            if isinstance(one, types.CodeType):
                compare(one, other)

    compare(code, expected)
