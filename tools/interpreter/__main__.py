# SPDX-License-Identifier: Apache-2.0
"""The executables: python3 -m tools.interpreter [amd64|arm64]...

Writes dist/tetrapy-linux-amd64 and dist/tetrapy-linux-arm64: each is an interpreter with
dist/tetrapy.pyz behind it, byte for byte. It takes minutes to build, and is kept in the cache.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from tools import zipapp
from tools.errors import BuildError
from tools.interpreter.program import program
from tools.release.tree import ARCHITECTURES
from tools.zip_writer import replace_file

LIMIT = 16_000_000


def path(arch: str) -> Path:
    """Where the executable for Debian's architecture `arch` is written."""
    return zipapp.OUTPUT.with_name(f"tetrapy-linux-{arch}")


def write(arch: str) -> Path:
    """Write one executable. Raises BuildError when it cannot be built or grows above its limit."""
    if not zipapp.OUTPUT.is_file():
        raise BuildError("dist/tetrapy.pyz is not there: make build")
    whole = program(ARCHITECTURES[arch]).read_bytes() + zipapp.OUTPUT.read_bytes()
    if len(whole) > LIMIT:
        raise BuildError(
            f"{path(arch).name} would take {len(whole):,} bytes; the limit is {LIMIT:,}"
        )
    replace_file(path(arch), whole, 0o755)
    print(f"{len(whole):10,}  {path(arch).name}  {hashlib.sha256(whole).hexdigest()}")
    return path(arch)


def main() -> int:
    """Exit code: 1 when something could not be built."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.interpreter", description=__doc__)
    parser.add_argument("archs", nargs="*", metavar="ARCH", help="amd64, arm64; default: both")
    arguments = parser.parse_args()
    unknown = set(arguments.archs) - set(ARCHITECTURES)
    if unknown:
        parser.error(f"unknown architecture: {', '.join(sorted(unknown))}")
    try:
        for arch in arguments.archs or ARCHITECTURES:
            write(arch)
    except BuildError as err:
        print(f"executable: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
