# SPDX-License-Identifier: Apache-2.0
"""The instructions of a BPF object as libbpf itself relocates them for a kernel's BTF.

bpf_object__prepare() does everything that comes before the kernel is asked to take a program, so
the BTF may be that of any kernel, of either architecture.  No map is made: instructions that refer
to one are then the same in each run, since libbpf puts the number of the map there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from ctypes import POINTER, byref, c_bool, c_int, c_size_t, c_void_p
from typing import TYPE_CHECKING, Any

from tetrapy.abi.elf import STT_FUNC, Elf
from tetrapy.kernel.libbpf import (
    MapPointer,
    ObjectOpenOptions,
    ObjectPointer,
    ProgramPointer,
    error_text,
    last_errno,
    libbpf,
)
from tetrapy.kernel.libbpf_log import collected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What a program became: its instructions, or why libbpf refuses it.
Outcome = bytes | str

_PROTOTYPES = {
    # name: (result, arguments)
    "bpf_object__prepare": (c_int, [ObjectPointer]),
    "bpf_map__set_autocreate": (c_int, [MapPointer, c_bool]),
    "bpf_program__set_autoload": (c_int, [ProgramPointer, c_bool]),
    "bpf_program__insns": (c_void_p, [ProgramPointer]),
    "bpf_program__insn_cnt": (c_size_t, [ProgramPointer]),
}

_FAILED = re.compile(r"prog '([^']+)': relo #\d+: ")


def relocate(data: bytes, btf: Path | bytes) -> dict[str, Outcome]:
    """Every program of the ELF object `data` for the BTF in a file, or given as bytes.

    A program that libbpf refuses, as for an ambiguous type, has the reason instead; it does not
    keep the others from being relocated. Iterators are left out: they are loaded by the kernel's
    own BTF alone.
    """
    refused: dict[str, Outcome] = {}
    iterators = _iterators(data)
    with _file(btf) as path:
        while True:
            done, reason = _prepare(data, path, iterators | set(refused))
            if not reason:
                return refused | done
            culprit = _FAILED.search(reason)
            if culprit is None or culprit[1] in refused:
                raise AssertionError(f"libbpf fails: {reason}")
            refused[culprit[1]] = reason


def _iterators(data: bytes) -> set[str]:
    elf = Elf(data)
    return {
        symbol.name
        for symbol in elf.symbols()
        if symbol.type == STT_FUNC
        and 0 < symbol.section < len(elf.sections)
        and elf.sections[symbol.section].name.startswith("?iter/")
    }


def _prepare(data: bytes, path: str, left_out: set[str]) -> tuple[dict[str, bytes], str]:
    """The programs but those left out, or what libbpf says when it fails."""
    lib: Any = libbpf()
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    said: list[str] = []
    options = ObjectOpenOptions(
        size=ctypes.sizeof(ObjectOpenOptions),
        object_name=b"relocated",
        btf_custom_path=os.fsencode(path),
    )
    with collected(said):
        opened = lib.bpf_object__open_mem(data, len(data), byref(options))
    if not opened:
        return {}, "\n".join([error_text(last_errno()), *said])
    try:
        kernel_map = lib.bpf_object__next_map(opened, None)
        while kernel_map:
            lib.bpf_map__set_autocreate(kernel_map, False)
            kernel_map = lib.bpf_object__next_map(opened, kernel_map)
        programs = {}
        program = lib.bpf_object__next_program(opened, None)
        while program:
            programs[lib.bpf_program__name(program).decode()] = program
            lib.bpf_program__set_autoload(program, True)  # the optional ones, too
            program = lib.bpf_object__next_program(opened, program)
        for name in left_out:
            lib.bpf_program__set_autoload(programs.pop(name), False)
        with collected(said):
            error = lib.bpf_object__prepare(opened)
        if error:
            return {}, "\n".join([*said, error_text(error)])
        return {name: _instructions(lib, program) for name, program in programs.items()}, ""
    finally:
        lib.bpf_object__close(opened)


def _instructions(lib: Any, program: POINTER) -> bytes:
    size = 8 * lib.bpf_program__insn_cnt(program)
    return ctypes.string_at(lib.bpf_program__insns(program), size)


@contextlib.contextmanager
def _file(btf: Path | bytes) -> Iterator[str]:
    """A path under which libbpf finds the BTF."""
    if not isinstance(btf, bytes):
        yield str(btf)
        return
    fd = os.memfd_create("btf")
    try:
        os.write(fd, btf)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)
