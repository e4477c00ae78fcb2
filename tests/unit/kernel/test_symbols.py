# SPDX-License-Identifier: Apache-2.0
"""What /proc/kallsyms tells of functions, without a kernel's."""

from __future__ import annotations

from pathlib import Path

from tetrapy.kernel.symbols import Symbols
from tetrapy.kernel.tracefs import KernelFiles

KALLSYMS = """\
ffffffff81000010 T one
ffffffff81000020 t twice
ffffffff81000030 t twice
ffffffff81000040 T name
ffffffff81000040 t other_name
ffffffff81000050 t also_data
ffffffff82000000 d also_data
ffffffff82000010 D data
ffffffff81000060 t also_in_module
ffffffffc0000000 t also_in_module\t[some]
ffffffffc0000010 t in_module\t[some]
ffffffff81000070 W weak
"""
NAMES = "one twice name other_name also_data data also_in_module in_module weak nowhere".split()


def symbols(tmp_path: Path, text: str) -> Symbols:
    path = tmp_path / "kallsyms"
    path.write_text(text)
    return Symbols(KernelFiles(), str(path))


def test_functions_apart(tmp_path: Path) -> None:
    """One function has the name, and the name alone; two names of which one is asked for do not
    meet.
    """
    found = symbols(tmp_path, KALLSYMS)
    assert found.apart(NAMES) == {"one", "weak"}
    assert found.apart(["one", "name"]) == {"one", "name"}


def test_functions(tmp_path: Path) -> None:
    """Of the kernel and of modules; data are none."""
    found = symbols(tmp_path, KALLSYMS).functions(NAMES)
    assert found == {*NAMES} - {"data", "nowhere"}


def test_what_is_hidden(tmp_path: Path) -> None:
    """Without addresses nobody knows whether two names are of one function."""
    hidden = "0000000000000000 T one\n0000000000000000 T two\n"
    assert symbols(tmp_path, hidden).apart(["one"]) == frozenset()
    assert symbols(tmp_path, "").apart(["one"]) == frozenset()
