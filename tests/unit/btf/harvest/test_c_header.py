# SPDX-License-Identifier: Apache-2.0
"""`vmlinux.h` -> BTF that gives the programs what the kernel's own gives."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfs import corpus
from tests.support import harvest_builders as b
from tests.support.btf_kernels import queries
from tests.unit.abi.test_fuzz import flipped
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.btf.harvest import limits, verify
from tetrapy.btf.harvest.c_header import is_header, read_header
from tetrapy.btf.harvest.isf import NotLinuxError
from tetrapy.btf.harvest.result import DAMAGED, DONE, SKIPPED
from tetrapy.errors import FormatError

HEADER = """\
#ifndef __VMLINUX_H__
#define __VMLINUX_H__ /* a comment */
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)

typedef unsigned char __u8;
typedef long long unsigned int u64;
typedef struct { int counter; } atomic_t;
enum state { RUNNING = 0, DEAD = -1, };
enum tiny { ONE = 1 } __attribute__((mode(byte)));
struct later;
struct list_head { struct list_head *next, *prev; };
struct pt_regs { long unsigned int orig_ax; };
struct packed {
\t__u8 a;
\tu64 b;
\tint c: 3;
\tint d: 7;
} __attribute__((packed));
struct aligned { char c; } __attribute__((aligned(64)));
struct task_struct {
\tunsigned int pid; // and more
\tunsigned int flag_a: 3;
\tunsigned int flag_b: 30;
\tlong: 0;
\tunion {
\t\tstruct later *link;
\t\tconst char * const name;
\t};
\tint (*ops)(struct task_struct *, char[4], int (*)(void));
\tvoid *(*(*table)[3])(int);
\tchar comm[16];
\tshort int grid[2][3];
\tenum state state;
\tenum tiny tiny;
\tstruct packed packed;
\tstruct { _Bool yes; __int128 wide; } inner;
\tatomic_t usage;
\tstruct aligned end;
\tint last[0];
};
struct holder { int a; struct list_head; };
typedef int (*callback_t)(void *);
static inline int helper(int x) { return x; }
extern void bpf_kfunc(struct later *) __attribute__((section(".ksyms")));
struct later { struct task_struct task; callback_t *calls[2]; };
#pragma clang attribute pop
#endif
"""


def places(data: bytes, name: str) -> dict[str, tuple[int, int]]:
    """Bit offset and width of each member of a struct."""
    btf = Btf(data)
    found = btf.find(name, k.KIND_STRUCT)
    assert found is not None
    return {one.name: (one.bit_offset, one.bits) for one in btf.members(found)}


def size_of(data: bytes, name: str) -> int:
    found = Btf(data).find(name, k.KIND_STRUCT)
    assert found is not None
    return found.ref


def test_every_kind_of_declaration() -> None:
    """Places and sizes are those that a C compiler gives; no declaration is left out."""
    assert is_header(HEADER[:1024].encode())
    data, left_out = read_header(HEADER.encode())
    assert left_out == ""
    assert places(data, "packed") == {"a": (0, 0), "b": (8, 0), "c": (72, 3), "d": (75, 7)}
    assert size_of(data, "packed") == 11
    task = places(data, "task_struct")
    assert {name: at // 8 for name, (at, bits) in task.items() if not bits} == {
        "pid": 0, "": 16, "ops": 24, "table": 32, "comm": 40, "grid": 56, "state": 68, "tiny": 72,
        "packed": 73, "inner": 96, "usage": 128, "end": 192, "last": 256,
    }  # fmt: skip
    assert (task["flag_a"], task["flag_b"]) == ((32, 3), (64, 30))
    assert size_of(data, "task_struct") == 256
    assert size_of(data, "later") == 320
    assert places(data, "holder") == {"a": (0, 0), "": (64, 0)}
    assert verify.check(data).arch == "x86_64"


def test_what_is_not_understood_is_left_out() -> None:
    """With what holds it by value; pointers to it remain, and the first reason is told."""
    text = HEADER.replace(
        "struct list_head {",
        "struct odd { int x __attribute__((cold)); };\n"
        "struct bearer { struct odd odd; };\nstruct list_head { struct odd *o;",
    )
    data, left_out = read_header(text.encode())
    assert left_out.startswith("2 declarations are left out, the first in line 11: the attribute")
    btf = Btf(data)
    assert btf.find("odd", k.KIND_STRUCT) is None
    assert btf.find("bearer", k.KIND_STRUCT) is None
    assert places(data, "list_head") == {"o": (0, 0), "next": (64, 0), "prev": (128, 0)}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("unsigned int pid;", "unknown_t pid;"), "'unknown_t' where a type belongs"),
        (("unsigned int pid;", "struct later by_value;"), "before it is complete"),
        (("unsigned int flag_a: 3", "unsigned int flag_a: 33"), "a bit field of 33 bits"),
        (("char comm[16]", "char comm[0x7fffffffffff]"), "an array of 14"),
        (("char comm[16]", "char comm[SIZE]"), "'SIZE' where a number belongs"),
        (("char comm[16]", "char comm[016]"), "'016' where a number belongs"),
        (("unsigned int pid;", "unsigned int pid; struct task_struct { int x; } again;"), "twice"),
        (("unsigned int pid;", "struct {" * 40), "more than 32 structs"),
        (("void *(*(*table)[3])(int)", "void " + "*" * 40 + "table"), "too many parts"),
        (("char comm[16]", f"char {'n' * 600}"), "the name 'nnn"),
        (("unsigned int pid;", "unsigned int pid /* and the rest"), "where ';' belongs"),
        (("unsigned int pid;", 'unsigned int pid " and the rest'), "where ';' belongs"),
    ],
)  # fmt: skip
def test_a_kernel_that_is_not_understood(change: tuple[str, str], text: str) -> None:
    """Where task_struct is left out nothing is made of the file, and the reason is told."""
    with pytest.raises(FormatError, match=text):
        read_header(HEADER.replace(*change).encode())


def test_what_is_no_kernels_header() -> None:
    """Other C, and what is too long, are refused before they are read."""
    with pytest.raises(NotLinuxError):
        read_header(b"#ifndef X\nstruct task_struct;\n")
    with pytest.raises(FormatError, match="the limit is"):
        read_header(HEADER.encode() + b" " * limits.HEADER)
    for head in (b"hello", b"\x7fELF", b"/* text */ int", b"typedef int\0", b"", b"/*" * 512):
        assert not is_header(head)
    assert is_header(b"/* a *//* b */ // c\n\n#pragma once")


_SCALARS = {
    "unsigned char": ctypes.c_ubyte, "short int": ctypes.c_short, "int": ctypes.c_int,
    "long unsigned int": ctypes.c_ulong, "void *": ctypes.c_void_p, "_Bool": ctypes.c_bool,
}  # fmt: skip
_MEMBERS = st.lists(st.tuples(st.sampled_from(sorted(_SCALARS)), st.integers(0, 3)), max_size=6)


@pytest.mark.slow
@given(st.lists(st.tuples(_MEMBERS, st.booleans(), st.booleans()), min_size=1, max_size=4))
def test_layouts_are_the_compilers(
    structs: list[tuple[list[tuple[str, int]], bool, bool]],
) -> None:
    """Structs and unions inside each other, packed or not, are as this machine's C has them."""
    text, inner = "struct task_struct { int pid; };\n", None
    for number, (members, union, packed) in enumerate(structs):
        fields = [(f"m{at}", _SCALARS[name] * count) for at, (name, count) in enumerate(members)]
        lines = [f"{name} m{at}[{count}];" for at, (name, count) in enumerate(members)]
        if inner is not None:
            fields.append(("inner", inner))
            lines.append(f"struct s{number - 1} inner;")
        space = {"_fields_": fields, **({"_pack_": 1} if packed else {})}
        whole = type("W", (ctypes.Union if union else ctypes.Structure,), space)
        inner = type("S", (ctypes.Structure,), {"_fields_": [("w", whole), ("c", ctypes.c_char)]})
        attribute = " __attribute__((packed))" if packed else ""
        kind = "union" if union else "struct"
        text += f"struct s{number} {{ {kind} {{ {' '.join(lines)} }}{attribute} w; char c; }};\n"
        data, left_out = read_header(text.encode())
        assert not left_out
        assert size_of(data, f"s{number}") == ctypes.sizeof(inner)
        assert places(data, f"s{number}")["c"] == (8 * inner.c.offset, 0)
        btf = Btf(data)
        outer = btf.find(f"s{number}", k.KIND_STRUCT)
        assert outer is not None
        found = btf.type(btf.members(outer)[0].type_id)
        assert [one.bit_offset for one in btf.members(found)] == [
            8 * getattr(whole, name).offset for name, _ in fields
        ]


def whole_btfs() -> list[Path]:
    """One of each machine; of the reduced corpus none is a kernel's whole, so this kernel's."""
    if not corpus.has_full():
        return [Path("/sys/kernel/btf/vmlinux")]
    paths = sorted((corpus.full() / "debian").rglob("*.btf"))
    by_machine = {path.parent.name: path for path in paths}
    assert set(by_machine) == {"x86_64", "arm64"}
    return list(by_machine.values())


@pytest.mark.slow
def test_real_kernels_give_the_same_answers() -> None:
    """What the BPF objects ask is answered alike by a kernel's BTF and by its header."""
    bpftool = shutil.which("bpftool")
    if bpftool is None:
        pytest.skip("needs bpftool: make setup")
    for path in whole_btfs():
        command = [bpftool, "btf", "dump", "file", path, "format", "c"]
        text = subprocess.run(command, check=True, capture_output=True).stdout
        whole, (data, _left_out) = path.read_bytes(), read_header(text)
        mine, own = queries().answers(Btf(data)), queries().answers(Btf(whole))
        assert [name for name, *pair in zip(queries().names, mine, own, strict=True)
                if pair[0] != pair[1]] == [], path  # fmt: skip
        assert verify.check(data).arch == verify.check(whole).arch


@pytest.mark.parametrize("compression", ["", "gzip", "bzip2", "xz"])
def test_a_header_is_harvested(tmp_path: Path, compression: str) -> None:
    """Its name tells the release, options the distribution, a register the architecture."""
    suffix = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "": ""}[compression]
    path = tmp_path / f"vmlinux-{b.RELEASE}.h{suffix}"
    path.write_bytes(b.COMPRESSORS.get(compression, bytes)(HEADER.encode()))
    outcome = b.only(b.collect(tmp_path, path, id="debian", version_id="12"))
    assert (outcome.state, outcome.key) == (DONE, b.KEY)
    assert outcome.notes[0] == "it is made of a vmlinux.h: types without functions"
    assert list(b.written(tmp_path)) == [f"{b.KEY}.btf"]


def test_headers_in_a_directory(tmp_path: Path) -> None:
    """Those that are called vmlinux are looked at; other C of that name is passed, if not named."""
    directory = tmp_path / "in"
    directory.mkdir()
    (directory / f"vmlinux-{b.RELEASE}.h").write_text(HEADER)
    (directory / "vmlinux.lds.h").write_text("#ifndef X\n#endif\n")
    (directory / "sched.h").write_text(HEADER)
    result = b.collect(tmp_path, directory, id="debian", version_id="12")
    assert [outcome.state for outcome in result.outcomes] == [DONE, SKIPPED]
    assert b.only(b.collect(tmp_path, directory / "vmlinux.lds.h")).state == DAMAGED


@pytest.mark.slow
@given(flipped(HEADER.encode()))
def test_changed_bytes_are_read_or_refused(data: bytes) -> None:
    """A header with a few bytes changed gives BTF that can be read, or a FormatError."""
    _read(data)


_WORDS = sorted({*HEADER.replace("(", " ( ").replace(";", " ; ").split(), "{", "}", "[", "*", ","})


@pytest.mark.slow
@given(st.lists(st.sampled_from(_WORDS), max_size=60))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    """Whatever is declared before the kernel's task, there is BTF or a FormatError."""
    _read(f"{' '.join(words)} ;\nstruct task_struct {{ int pid; }};".encode())


@pytest.mark.parametrize("text", ["/* ", '\\" ', "((", "struct {", "int x[1]", "* ", "#\\\n", "a "])
def test_what_is_repeated_costs_its_length(text: str) -> None:
    """Nothing is looked at again and again: 100 KB of it are read as the rest is."""
    _read(
        ("int x " + text * (100_000 // len(text)) + "\nstruct task_struct { int pid; };").encode()
    )


def _read(data: bytes) -> None:
    try:
        made, _left_out = read_header(data)
        verify.check(made)
    except FormatError:
        return
    btf = Btf(made)
    for found in btf:
        if found.kind in (k.KIND_STRUCT, k.KIND_UNION):
            btf.members(found)
