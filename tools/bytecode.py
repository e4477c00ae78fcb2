# SPDX-License-Identifier: Apache-2.0
"""Modules compiled ahead for the CPython that builds; a start there costs a third of the time.

Every other Python finds another magic number in them and takes the sources beside them. Asserts are
kept, so that all Pythons run the same; docstrings are not, which nothing reads there.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import marshal
from collections.abc import Mapping

# PEP 552: a hash-based .pyc whose source is not looked at again.
_UNCHECKED_HASH = (1).to_bytes(4, "little")

# The last version of the format without references between objects. Which objects are referred to
# depends on what else the compiling process holds, so newer versions do not give the same bytes.
_MARSHAL_VERSION = 2


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
    code = compile(_undocumented(source), name, "exec", dont_inherit=True, optimize=0)
    return b"".join(
        (
            importlib.util.MAGIC_NUMBER,
            _UNCHECKED_HASH,
            importlib.util.source_hash(source),
            marshal.dumps(code, _MARSHAL_VERSION),
        )
    )


def _undocumented(source: bytes) -> ast.Module:
    """The module without docstrings; all else stays on its lines."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            nothing = ast.copy_location(ast.Pass(), node.body[0])
            node.body = node.body[1:] or [nothing]
    return tree
