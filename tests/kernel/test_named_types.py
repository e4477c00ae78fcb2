# SPDX-License-Identifier: Apache-2.0
"""What is selected of a kernel's BTF is as good as all of it: libbpf makes the same of both."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import exactness
from tests.support.bpf_compile import bpf_object
from tests.support.btf_kernels import objects
from tests.support.builders import BtfBuilder
from tests.support.paths import ROOT
from tests.support.relocated import relocate
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.elf import section_data
from tetrapy.kernel.kernel_btf import KernelBtf
from tetrapy.kernel.named_types import NamedTypes, forget, function_number, select

EVERY = Path(__file__).parent / "relocations/every.bpf.c"

# They ask for a pointer to a function by its name, which no shipped program does.
OF_PROTOTYPES = {"exists_type_work", "size_type_work"}
# Each damaged text in a process that a wrong address would end.
DAMAGED = """
import random, sys
from tetrapy.kernel.kernel_btf import KernelBtf
from tetrapy.kernel.named_types import forget, function_number, select
own, kernel = (open(name, "rb").read() for name in sys.argv[1:3])
path = sys.argv[3]
draw = random.Random(7)
for _ in range(3000):
    data = bytearray(kernel)
    for _ in range(draw.randrange(1, 5)):
        at = draw.choice([draw.randrange(24), draw.randrange(len(data))])
        data[at] = draw.randrange(256)
    with open(path, "wb") as file:
        file.write(data[: draw.choice([len(data), draw.randrange(len(data))])])
    forget()
    select(own, path)
    select(bytes(data), path)
    function_number("f", path)
print("ended")
"""


@pytest.mark.parametrize("name", ["base", "policy", "every"])
def test_relocations_are_those_of_the_whole_btf(name: str) -> None:
    """Of all programs that are shipped, and of one that asks everything; refusals, too."""
    data = bpf_object(EVERY) if name == "every" else objects()[0 if name == "base" else 2]
    own = section_data(data, ".BTF")
    paths = exactness.spread()[:: 6 if name == "policy" else 1]
    assert len(paths) > 6
    for path in paths:
        found = select(own, str(path))
        if path.stat().st_size > 20_000_000:  # each type is there many times: no room
            assert found == b""
        else:
            assert len(found) < 200_000
            mine, theirs = relocate(data, found), relocate(data, path)
            different = {one for one in theirs if mine[one] != theirs[one]}
            assert different <= OF_PROTOTYPES, path.name


def test_pointers_take_nothing_along(tmp_path: Path) -> None:
    """A list of itself is one type, and what it points to is not there."""
    kernel, own = BtfBuilder(), BtfBuilder()
    integer = kernel.integer("int", 4)
    other = kernel.composite("other", 4, [("a", integer, 0)])
    kernel.composite("node", 8, [("next", kernel.add(k.KIND_PTR, ref=other), 0)])
    own.composite("node___old", 0, [])
    found = list(Btf(selected(tmp_path, own, kernel)))
    assert [one.name for one in found] == ["node", ""]
    assert found[1].kind == k.KIND_PTR


def test_all_flavours_of_a_name_are_taken(tmp_path: Path) -> None:
    """On both sides: libbpf takes `file___new` of a kernel for a candidate of `file___old`."""
    kernel, own = BtfBuilder(), BtfBuilder()
    for name in ("file", "file___new", "file_new", "file___", "___file", "file___a___b"):
        kernel.composite(name, 0, [])
    own.composite("file___old", 0, [])
    found = [one.name for one in Btf(selected(tmp_path, own, kernel))]
    assert found == ["file", "file___new"]


def test_functions_have_the_numbers_that_others_find() -> None:
    """libbpf, in the kernel's own BTF; one that iterators stand for, and what is no function."""
    kernel = KernelBtf()
    if not kernel.is_there():
        pytest.skip("this kernel has no BTF")
    for name in ("bpf_iter_task", "vfs_read", "do_exit", "task_struct", "no_such_function"):
        assert function_number(name) == kernel.number(name)
    assert function_number("bpf_iter_task")
    kernel.close()
    forget()


def test_the_kernel_is_read_once(tmp_path: Path) -> None:
    """Until it is forgotten."""
    kernel, own = BtfBuilder(), BtfBuilder()
    kernel.composite("node", 8, [])
    function = kernel.add(k.KIND_FUNC, "work", ref=kernel.add(k.KIND_FUNC_PROTO))
    own.composite("node", 0, [])
    found = selected(tmp_path, own, kernel)
    path = tmp_path / "kernel"
    path.unlink()
    assert select(own.build(), str(path)) == found
    assert function_number("work", str(path)) == function
    forget()
    assert select(own.build(), str(path)) == b""
    assert function_number("work", str(path)) == 0


def test_nothing_where_there_is_no_btf(tmp_path: Path) -> None:
    """No file, another one, and one that ends too early; libbpf is given no path then."""
    own = BtfBuilder()
    own.integer("int", 4)
    assert select(own.build(), str(tmp_path / "none")) == b""
    for data in (b"", b"no BTF at all, but long enough to be one", own.build()[:-3]):
        path = tmp_path / "kernel"
        path.write_bytes(data)
        forget()
        assert select(own.build(), str(path)) == b""


def test_a_path_is_there_until_it_is_closed() -> None:
    """Where this kernel has BTF."""
    types = NamedTypes(section_data(objects()[0], ".BTF"))
    if types.path is None:
        pytest.skip("this kernel has no BTF")
    assert Btf(Path(types.path).read_bytes()).find("task_struct", k.KIND_STRUCT) is not None
    types.close()
    types.close()
    assert types.path is None


def test_damaged_btf_does_no_harm(tmp_path: Path) -> None:
    """Bytes changed and cut off at random."""
    kernel, own = BtfBuilder(), BtfBuilder()
    integer = kernel.integer("int", 4)
    draw = random.Random(3)
    for number in range(12):
        members = [(f"m{at}", integer, 32 * at) for at in range(draw.randrange(5))]
        made = kernel.composite(f"s{number}", 64, members)
        kernel.add(k.KIND_FUNC, f"f{number}", ref=kernel.add(k.KIND_FUNC_PROTO))
        kernel.array(made, 3)
        kernel.composite(f"t{number}", 64, [("inner", made, 0)])
        own.composite(f"t{number}", 0, [])
    names = [tmp_path / "own", tmp_path / "kernel"]
    names[0].write_bytes(own.build())
    names[1].write_bytes(kernel.build())
    done = subprocess.run(
        [sys.executable, "-c", DAMAGED, *map(str, names), str(tmp_path / "damaged")],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT / "agent")},
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "ended\n")


def selected(directory: Path, own: BtfBuilder, kernel: BtfBuilder) -> bytes:
    """What is selected of made-up BTF."""
    path = directory / "kernel"
    path.write_bytes(kernel.build())
    forget()
    return select(own.build(), str(path))
