# SPDX-License-Identifier: Apache-2.0
"""Release files around what is in dist: python3 -m tools.release [tarball|deb|rpm]...

Writes tarballs, Debian packages and RPMs of both architectures into dist/, each with its digest
beside it (FILE.sha256sum), as sha256sum --check reads it; so have tetrapy.pyz and the executables.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

from tools.contents import ARCHITECTURES
from tools.errors import BuildError
from tools.release import deb, rpm, tarball
from tools.release.tree import PYZ, executable
from tools.zip_writer import replace_file

BUILDERS: dict[str, Callable[[str], tuple[str, bytes]]] = {
    "tarball": tarball.build,
    "deb": deb.build,
    "rpm": rpm.build,
}


def main() -> int:
    """Exit code: 1 when something could not be made."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.release",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="tarball, deb, rpm; default: all")
    parser.add_argument("--output", type=Path, default=PYZ.parent, metavar="DIR")
    arguments = parser.parse_args()
    unknown = set(arguments.kinds) - set(BUILDERS)
    if unknown:
        parser.error(f"unknown kind: {', '.join(sorted(unknown))}")
    try:
        for kind in arguments.kinds or BUILDERS:
            for arch in ARCHITECTURES:
                _write(arguments.output, *BUILDERS[kind](arch))
        for program in (PYZ, *map(executable, ARCHITECTURES)):
            _write_sum(arguments.output, program.name, program.read_bytes())
    except BuildError as err:
        print(f"release: {err}", file=sys.stderr)
        return 1
    return 0


def _write(directory: Path, name: str, content: bytes) -> None:
    replace_file(directory / name, content, 0o644)
    _write_sum(directory, name, content)


def _write_sum(directory: Path, name: str, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    replace_file(directory / f"{name}.sha256sum", f"{digest}  {name}\n".encode(), 0o644)
    print(f"{len(content):10,}  {name}  {digest[:16]}")


if __name__ == "__main__":
    sys.exit(main())
