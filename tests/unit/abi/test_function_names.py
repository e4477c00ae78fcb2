# SPDX-License-Identifier: Apache-2.0
"""Functions by where they are in a file, of programs that a compiler makes."""

from __future__ import annotations

import ctypes
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tetrapy.abi.executable import Executable
from tetrapy.abi.function_names import FunctionNames
from tetrapy.errors import ElfError

COMPILER = shutil.which("gcc")
SOURCE = """
int inner(int x) { return x + 1; }
static int hidden(int x) { return inner(x) * 3; }
int data = 5;
int main(void) { return hidden(data); }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """With all its symbols."""
    if COMPILER is None:
        pytest.skip("gcc is not here")
    target = tmp_path_factory.mktemp("program") / "program"
    command = [COMPILER, "-O0", "-x", "c", "-", "-o", target]
    subprocess.run(command, input=SOURCE, text=True, check=True)
    return target.read_bytes()


def test_functions_of_a_program(program: bytes) -> None:
    """Also those that are not exported; the byte before a function is another's."""
    names, executable = FunctionNames(program), Executable(program)
    for name in ("inner", "hidden", "main"):
        offset = executable.offset_of_symbol(name)
        assert names.find(offset) == names.find(offset + 4) == name
        assert names.find(offset - 1) != name
    assert names.find(0) == ""
    assert names.find(1 << 63) == ""
    assert 0 < names.size < 1 << 20


def test_functions_of_a_library() -> None:
    """Those that it exports, where the file has no others."""
    library = ctypes.CDLL(None)
    del library
    maps = Path("/proc/self/maps").read_text().splitlines()
    path = next(line.split()[-1] for line in maps if "/libc.so" in line)
    data = Path(path).read_bytes()
    offset = Executable(data).offset_of_symbol("getpid")
    assert FunctionNames(data).find(offset + 1) in {"getpid", "__getpid"}


def test_damaged_files(program: bytes) -> None:
    """Nothing but ElfError comes of a file that is cut or changed."""
    rng = random.Random(7)
    for _ in range(300):
        damaged = bytearray(program[: rng.randrange(1, len(program))])
        for _ in range(rng.randrange(20)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            FunctionNames(bytes(damaged)).find(rng.randrange(1 << 16))
        except ElfError:
            pass
