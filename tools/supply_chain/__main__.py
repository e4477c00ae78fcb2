# SPDX-License-Identifier: Apache-2.0
"""What lets others trust the files of a directory.

    .venv/bin/python -m tools.supply_chain [--key FILE] dist

Writes bills of materials (SPDX, CycloneDX) and licence texts of tetrapy.pyz and of the executables
that are there, then SHA256SUMS of all files there, then its signature SHA256SUMS.sig when a private
key is named by --key or $TETRAPY_RELEASE_KEY. docs/verify.md says how they are verified.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tools.errors import BuildError
from tools.supply_chain import bills, signing, sums


def write_all(directory: Path, key: Path | None = None) -> list[Path]:
    """Write everything; returns the paths. An old signature never stays beside new sums.

    Raises BuildError, OSError.
    """
    (directory / f"{sums.NAME}{signing.SUFFIX}").unlink(missing_ok=True)
    written = bills.write(directory)
    written.append(sums.write(directory))
    if key is not None:
        written.append(signing.sign(written[-1], key))
    return written


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.supply_chain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("--key", default=os.environ.get("TETRAPY_RELEASE_KEY"), metavar="FILE")
    arguments = parser.parse_args()
    try:
        written = write_all(arguments.directory, Path(arguments.key) if arguments.key else None)
    except (BuildError, OSError) as err:
        print(f"tools.supply_chain: {err}", file=sys.stderr)
        return 1
    for path in written:
        print(path)
    if not arguments.key:
        print("not signed: no key was named", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
