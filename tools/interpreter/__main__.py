# SPDX-License-Identifier: Apache-2.0
"""The executables: python3 -m tools.interpreter [amd64|arm64]...

Writes dist/tetrapy-linux-amd64 and dist/tetrapy-linux-arm64: each is an interpreter with
dist/tetrapy.pyz behind it, byte for byte. It takes minutes to build, and is kept in the cache.
"""

from __future__ import annotations

import argparse
import hashlib
import sys

from tools.contents import ARCHITECTURES, EXECUTABLES
from tools.errors import BuildError
from tools.interpreter import executable
from tools.zip_writer import replace_file


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
            path, data = executable.DIST / EXECUTABLES[arch], executable.whole(arch)
            replace_file(path, data, 0o755)
            print(f"{len(data):10,}  {path.name}  {hashlib.sha256(data).hexdigest()}")
    except BuildError as err:
        print(f"executable: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
