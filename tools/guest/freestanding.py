# SPDX-License-Identifier: Apache-2.0
"""Static programs without libc, for guests of either architecture (see syscalls.h)."""

from __future__ import annotations

from pathlib import Path

from tools import zig
from tools.fetch import cache_dir

_HEADERS = Path(__file__).resolve().parent
_OPTIONS = (
    "-O2 -static -nostdlib -ffreestanding -fno-sanitize=all -fno-stack-protector -s"
    " -Wall -Wextra -Werror"
).split()


def compile_program(source: Path, output: Path, machine: str) -> None:
    """Compile one C file for `machine` (x86_64 or aarch64, as uname says).

    Raises BuildError with the compiler's complaint.
    """
    arguments = ["-target", f"{machine}-linux-none", *_OPTIONS, "-I", str(_HEADERS)]
    arguments += ["-o", str(output), str(source)]
    zig.cc(arguments, output.parent, cache_dir() / "zig-cache")
