# SPDX-License-Identifier: Apache-2.0
"""The BPF objects of the bundle: sources of bpf/ compiled, then linked into one object each.

Linking is done by libbpf's own linker, out of the libbpf.so that is shipped. It strips DWARF, keeps
BTF, and fills in the offsets of the variables in .rodata, which are all zero before.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import shutil
import struct
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import List, NamedTuple

# The agent's own reader finds the section of an object.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "agent"))

from tetrapy.abi.elf import section_data
from tools import artifacts, libbpf_so, zig
from tools.errors import BuildError
from tools.fetch import ROOT
from tools.zip_writer import replace_file


class Recipe(NamedTuple):
    """What an object is made of: sources of bpf/, in the order of linking, and compiler flags."""

    sources: tuple[str, ...]
    flags: tuple[str, ...] = ()


# Definitions first: a map that is declared extern before it is defined gets a wrong offset.
_BASE = (
    "maps.bpf.c",
    "exec.bpf.c",
    "context.bpf.c",
    "file.bpf.c",
    "exit.bpf.c",
    "fork.bpf.c",
    "fork_suppressed.bpf.c",
    "gates.bpf.c",
    "executables.bpf.c",
)

# Without what only later kernels have: preemption in programs, iterators.
_BASE_4_19 = tuple(name for name in _BASE if name not in ("gates.bpf.c", "executables.bpf.c"))

# They share the maps of the base object.
_POLICY = (
    "maps.bpf.c",
    "call_maps.bpf.c",
    "call_kprobe.bpf.c",
    "call_tracepoint.bpf.c",
    "call_raw_tracepoint.bpf.c",
    "call_trampoline.bpf.c",
    "lineage.bpf.c",
    "enforcement.bpf.c",
)

# Events leave by a ring buffer (Linux 5.8), or by a perf buffer where the kernel has no other.
FLAVOURS = {
    "base.bpf.o": Recipe(_BASE, ("-DEVENTS_RINGBUF=1",)),
    "base-perf.bpf.o": Recipe(_BASE, ("-DEVENTS_RINGBUF=0",)),
}

# ... or by a perf buffer too where the kernel takes small programs only (bpf/flavour.h).
_SMALL = ("-DEVENTS_RINGBUF=0", "-DLINUX_4_19=1")
SMALL_FLAVOUR = "base-4.19.bpf.o"

# Every object of the bundle. Relocations of all are what the BTF archive answers.
OBJECTS = {
    **FLAVOURS,
    SMALL_FLAVOUR: Recipe(_BASE_4_19, _SMALL),
    "kernel_read.bpf.o": Recipe(("kernel_read.bpf.c",)),
    "kernel_read-4.19.bpf.o": Recipe(("kernel_read.bpf.c",), _SMALL),
    "policy.bpf.o": Recipe(_POLICY, ("-DEVENTS_RINGBUF=1",)),
    "policy-perf.bpf.o": Recipe(_POLICY, ("-DEVENTS_RINGBUF=0",)),
}

_FLAGS = (
    # zig has no target called "bpf". Version 3 of the instruction set is accepted since Linux 5.1,
    # but the verifiers before 5.8 lose track of bounds in its 32-bit halves; version 2 has none.
    "-target bpfel-freestanding-none -mcpu=v2 -O2 -g -std=gnu11"
    " -Wall -Wextra -Werror"
    # libbpf's linker refuses .eh_frame; zig's default sanitizer does not compile for BPF. Both of
    # the unwind flags are needed.
    " -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-stack-protector -fno-addrsig"
    " -fno-sanitize=all -fdebug-compilation-dir=."
).split()


def build(out_dir: Path) -> List[Path]:
    """Write the objects of OBJECTS to a directory; the same sources give the same bytes.

    Raises BuildError with the compiler's or the linker's complaint, or for a source of no object.
    """
    present = {path.name for path in (ROOT / "bpf").glob("*.bpf.c")}
    wanted = {source for recipe in OBJECTS.values() for source in recipe.sources}
    if present != wanted:
        raise BuildError(f"bpf/ and OBJECTS disagree about {', '.join(sorted(present ^ wanted))}")
    headers = libbpf_so.headers()
    ingredients: list[str | bytes] = [zig.wheel().version, headers.name, linker_path().parent.name]
    for path in [Path(__file__), *sorted((ROOT / "bpf").glob("*.[ch]"))]:
        ingredients += [path.name, path.read_bytes()]
    key = artifacts.digest(ingredients)
    home = artifacts.built("bpf-objects", key, partial(_build, headers))
    written = []
    for name in OBJECTS:
        path = out_dir / name
        replace_file(path, (home / name).read_bytes(), 0o644)
        written.append(path)
    return written


def _build(headers: Path, out: Path) -> None:
    zig.executable()
    with tempfile.TemporaryDirectory() as scratch:
        # Compiled here: how long the path of a checkout, or of a cache, is decided on the order of
        # strings in BTF.
        shutil.copytree(ROOT / "bpf", Path(scratch, "bpf"))
        shutil.copytree(headers, Path(scratch, "libbpf"))
        compile_one = partial(_compile, scratch=Path(scratch))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = {
                name: pool.map(partial(compile_one, name), recipe.sources)
                for name, recipe in OBJECTS.items()
            }
            for name, parts in objects.items():
                link(out / name, list(parts))
                _forget_lines(out / name)


def _forget_lines(path: Path) -> None:
    """Take out the line information, a third to a half of an object. Only logs of the verifier
    show it, which name programs and instructions without it too. Raises BuildError.
    """
    data = path.read_bytes()
    types = section_data(data, ".BTF.ext")
    # struct btf_ext_header of libbpf's src/libbpf_internal.h: offset and length of functions, of
    # lines, of relocations, counted from its end.
    size, functions, count, lines, length, relocations, rest = struct.unpack_from("<7I", types, 4)
    if not functions + count == lines <= lines + length == relocations <= len(types) - size - rest:
        raise BuildError(f"{path.name}: .BTF.ext is not functions, lines, relocations")
    left = bytearray(types[: size + lines] + types[size + lines + length :])
    struct.pack_into("<3I", left, 16, lines, 0, lines)
    path.write_bytes(_with_section(data, data.index(types), len(types), bytes(left)))


def _with_section(data: bytes, offset: int, size: int, contents: bytes) -> bytes:
    """An ELF object with a section of `size` bytes replaced by a shorter one."""
    cut = (size - len(contents)) & ~15  # what follows stays aligned
    made = bytearray(data[:offset] + contents.ljust(size - cut, b"\0") + data[offset + size :])
    (headers,) = struct.unpack_from("<Q", data, 40)  # Elf64_Ehdr.e_shoff
    entry, count = struct.unpack_from("<HH", data, 58)  # e_shentsize, e_shnum
    headers -= cut if headers > offset else 0
    struct.pack_into("<Q", made, 40, headers)
    for header in range(headers, headers + entry * count, entry):
        place, length = struct.unpack_from("<QQ", made, header + 24)  # sh_offset, sh_size
        if place == offset and length == size:
            struct.pack_into("<Q", made, header + 32, len(contents))
        elif place > offset:
            struct.pack_into("<Q", made, header + 24, place - cut)
    return bytes(made)


def _compile(name: str, source: str, scratch: Path) -> Path:
    path = scratch / f"{name}-{source}.o"
    arguments = [*_FLAGS, *OBJECTS[name].flags, "-isystem", "libbpf", "-I", "bpf"]
    # No path of the machine that builds may reach the line information in .BTF.ext.
    arguments += [f"-ffile-prefix-map={scratch}=."]
    arguments += ["-c", f"bpf/{source}", "-o", str(path)]
    zig.cc(arguments, scratch, scratch / "zig")
    return path


def linker_path() -> Path:
    """The libbpf.so of this machine, whose linker is used."""
    return libbpf_so.library(platform.machine())


def link(output: Path, objects: Sequence[Path]) -> None:
    """Link BPF objects into one, as `bpftool gen object` does. Raises BuildError."""
    libbpf = ctypes.CDLL(str(linker_path()), use_errno=True)
    libbpf.bpf_linker__new.restype = ctypes.c_void_p
    libbpf.bpf_linker__new.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    libbpf.bpf_linker__add_file.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    libbpf.bpf_linker__finalize.argtypes = [ctypes.c_void_p]
    libbpf.bpf_linker__free.argtypes = [ctypes.c_void_p]
    libbpf.bpf_linker__free.restype = None
    linker = libbpf.bpf_linker__new(os.fsencode(output), None)
    if not linker:
        raise BuildError(f"{output}: {os.strerror(ctypes.get_errno())}")
    try:
        for path in objects:
            result = libbpf.bpf_linker__add_file(linker, os.fsencode(path), None)
            if result < 0:
                raise BuildError(f"linking {path.name}: {os.strerror(-result)}, reasons above")
        result = libbpf.bpf_linker__finalize(linker)
        if result < 0:
            raise BuildError(f"linking {output.name}: {os.strerror(-result)}, reasons above")
    finally:
        libbpf.bpf_linker__free(linker)


def main() -> None:
    """Build all objects into a directory and print their paths."""
    parser = argparse.ArgumentParser(description="compile and link the BPF objects")
    parser.add_argument("out_dir", type=Path, nargs="?", default=ROOT / "build" / "bundle" / "bpf")
    for path in build(parser.parse_args().out_dir):
        print(path)


if __name__ == "__main__":
    main()
