# SPDX-License-Identifier: Apache-2.0
"""Modules compiled ahead for the CPython that builds; a start there costs a third of the time.

Every other Python finds another magic number in them and takes the sources beside them. Asserts are
kept, so that all Pythons run the same; docstrings and the types of functions are not, which nothing
reads there, nor the columns that a traceback would underline, a quarter of what is packed.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import marshal
import sys
from collections.abc import Iterator, Mapping
from types import CodeType

# PEP 552: a hash-based .pyc whose source is not looked at again.
_UNCHECKED_HASH = (1).to_bytes(4, "little")

# Objects refer to one another: a name is there, and in memory, once for a module.
_MARSHAL_VERSION = 4

# Of code, what marshal writes as objects (w_complex_object() of CPython 3.11's Python/marshal.c).
_MEMBERS = (
    *("co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars"),
    *("co_filename", "co_name", "co_qualname", "co_linetable", "co_exceptiontable"),
)

# Of an entry of a table of places (CPython's Objects/locations.md): one bit that begins it, four of
# what it has, three of how many units of code it is for, less one.
_BEGIN, _LINE_ALONE, _NO_LINE = 0x80, 13 << 3, 15 << 3
_MOST_UNITS = 8


def compiled(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """Name -> contents of a .pyc for each .py among `sources`."""
    files = {}
    for name, source in sources.items():
        if not name.endswith(".py"):
            continue
        files[name + "c"] = _pyc(name, source)
    return files


@functools.cache  # a bill of materials asks again for what a build had
def _pyc(name: str, source: bytes) -> bytes:
    code = compile(_bare(source), name, "exec", dont_inherit=True, optimize=0)
    code = _without_columns(code, {})
    # marshal marks what somebody else holds too, and texts that are interned; of texts of one
    # character, which a process has once, both depend on what it did before. Not any more.
    held = list(_objects(code))
    for one in held:
        if isinstance(one, str) and len(one) < 2:
            sys.intern(one)
    packed = marshal.dumps(code, _MARSHAL_VERSION)
    del held
    return b"".join(
        (
            importlib.util.MAGIC_NUMBER,
            _UNCHECKED_HASH,
            importlib.util.source_hash(source),
            packed,
        )
    )


def _bare(source: bytes) -> ast.Module:
    """The module without docstrings and types of functions; all else stays on its lines."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            nothing = ast.copy_location(ast.Pass(), node.body[0])
            node.body = node.body[1:] or [nothing]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    return tree


def _without_columns(code: CodeType, sets: dict[str, frozenset[object]]) -> CodeType:
    """The code with lines alone, as CPython has it with -X no_debug_ranges.

    Sets that are alike are one: whether the compiler makes them one depends on hashes.
    """
    table = bytearray()
    known = code.co_firstlineno
    for start, end, line in code.co_lines():
        for units in _parts((end - start) // 2):
            table.append(_BEGIN | (_NO_LINE if line is None else _LINE_ALONE) | units - 1)
            if line is not None:
                table += _signed(line - known)
                known = line
    constants = list(code.co_consts)
    for at, one in enumerate(constants):
        if isinstance(one, CodeType):
            constants[at] = _without_columns(one, sets)
        elif isinstance(one, frozenset):
            constants[at] = sets.setdefault(repr(sorted(one, key=repr)), one)
    return code.replace(co_linetable=bytes(table), co_consts=tuple(constants))


def _objects(value: object) -> Iterator[object]:
    """All that marshal writes of a value."""
    yield value
    if isinstance(value, CodeType):
        for name in _MEMBERS:
            yield from _objects(getattr(value, name))
    elif isinstance(value, (tuple, frozenset)):
        for one in value:
            yield from _objects(one)


def _parts(units: int) -> Iterator[int]:
    while units > 0:
        yield min(units, _MOST_UNITS)
        units -= _MOST_UNITS


def _signed(number: int) -> bytes:
    """Six bits in each byte, the lowest first; the lowest of all is the sign."""
    left = abs(number) << 1 | (number < 0)
    out = bytearray()
    while left >= 64:
        out.append(left & 63 | 64)
        left >>= 6
    out.append(left)
    return bytes(out)
