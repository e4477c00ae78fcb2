# SPDX-License-Identifier: Apache-2.0
"""The C programs of the tests, made by the pinned compiler and kept under the cache."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
from pathlib import Path

from tools import zig
from tools.fetch import cache_dir

SUPPORT = Path(__file__).resolve().parent


def program(name: str, machine: str = platform.machine()) -> Path:
    """The executable of `tests/support/<name>.c`, which any user may run.

    `machine` as uname says it: x86_64 or aarch64.
    """
    target = f"{machine}-linux-gnu.2.17"
    source = SUPPORT / f"{name}.c"
    parts = [source, *sorted(SUPPORT.glob("*.h"))]
    content = b"".join(part.read_bytes() for part in parts)
    digest = hashlib.sha256(content + target.encode()).hexdigest()
    made = cache_dir() / "tests" / f"{name}-{digest[:16]}"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
            fresh = Path(scratch) / name
            arguments = ["-O1", "-Wall", "-Werror", "-target", target]
            arguments += ["-o", str(fresh), str(source), "-lpthread"]
            zig.cc(arguments, Path(scratch), cache_dir() / "zig-cache")
            fresh.replace(made)
    return made


def installed(name: str, directory: Path) -> Path:
    """A copy of the program below a directory that every user may enter."""
    copy = directory / name
    shutil.copyfile(program(name), copy)
    os.chmod(copy, 0o755)
    return copy
