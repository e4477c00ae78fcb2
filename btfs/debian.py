#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Harvests full BTFs of the kernels that Debian lists and the archive has not; see btfs/README.md.

    python3 btfs/debian.py --output DIR [--arch arm64]

One package at a time comes from the mirror that this machine's apt uses, and goes again. What an
earlier run left in DIR is not fetched again. Left out are the kernels that tests/vm/kernels.toml
declares unknown to the archive.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "agent")]

from btfs import corpus  # noqa: E402 - after the path is set
from tetrapy.btf.harvest import Options, harvest  # noqa: E402 - likewise
from tools import debian  # noqa: E402 - likewise
from tools.debian import Deb, DebianError  # noqa: E402 - likewise
from tools.errors import BuildError  # noqa: E402 - likewise
from tools.guest import kernels  # noqa: E402 - likewise
from tools.guest.unpackers import UNPACKERS  # noqa: E402 - likewise

SUITES = (
    *("bullseye", "bullseye-security"),
    *("bookworm", "bookworm-security", "bookworm-backports"),
    *("trixie", "trixie-security", "trixie-backports"),
    *("forky", "sid", "experimental"),
)
ARCHITECTURES = {"arm64": "arm64", "amd64": "x86_64"}
# A kernel is in linux-image-RELEASE, from Linux 6.19 on in linux-binary-RELEASE; the unsigned ones
# have the same BTF, and packages below this size (bytes) only depend on another.
_PACKAGE = re.compile(r"linux-(?:image|binary)-(\d\S*?)(-dbg|-unsigned|-unsigned-dbg)?")
_NO_KERNEL = 1_000_000


def listed(suite: str, arch: str) -> dict[str, Deb]:
    """The suite's kernels: `uname -r` -> the package with it. Raises DebianError."""
    found = {}
    for deb in debian.listed("^linux-(image|binary)-[0-9]", suite, arch):
        match = _PACKAGE.fullmatch(deb.package)
        if match and not match[2] and deb.size > _NO_KERNEL:
            found[match[1]] = deb
    return found


def known(output: Path) -> set[tuple[str, str]]:
    """Architecture and `uname -r` of kernels that are not needed: had, or declared unknown."""
    files = [*corpus.files(), *output.rglob("*.btf")]
    unknown = {(ARCHITECTURES[one.arch], one.release) for one in kernels.load() if not one.known}
    return unknown | {(path.parent.name, path.stem) for path in files}


def fetch(deb: Deb, suite: str, output: Path) -> str:
    """Harvest one package, which is not kept; an error's text, or "". Raises DebianError."""
    package = debian.download(deb.package, deb.version, suite, deb.arch, deb.sha256)
    try:
        # Its kernels do not say which release they are for.
        version = suite if suite == "experimental" else ""
        options = Options(version_id=version, jobs=1)
        result = harvest([str(package)], str(output), options, UNPACKERS, lambda _: None)
    finally:
        package.unlink()
    return "; ".join(outcome.error for outcome in result.outcomes)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 1 if a kernel, or a suite's list, could not be had."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="tree of BTFs to add to")
    parser.add_argument("--arch", choices=ARCHITECTURES, action="append", help="both, if not given")
    options = parser.parse_args(arguments)
    have, failed = known(options.output), 0
    for arch in options.arch or ARCHITECTURES:
        for suite in SUITES:
            try:
                new = listed(suite, arch)
            except BuildError as err:
                new, failed = {}, failed + 1
                print(err, file=sys.stderr)
            for release in sorted(new):
                if (ARCHITECTURES[arch], release) in have:
                    continue
                have.add((ARCHITECTURES[arch], release))
                try:
                    error = fetch(new[release], suite, options.output)
                except DebianError as err:
                    error = str(err)
                failed += bool(error)
                print(f"{suite} {release}: {error or 'done'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
