# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf list`: the kernels of the archive and of the local store."""

from __future__ import annotations

import argparse
import fnmatch
import re
from typing import Dict, List, Optional, Tuple

from tetrapy.cli.btf.kernel_flags import architecture
from tetrapy.cli.btf.known_kernels import Knowledge, add_archive_flags
from tetrapy.cli.btf.output import counted, print_json, table, warn
from tetrapy.errors import TetrapyError
from tetrapy.named import NamedTuple
from tetrapy.visible import printable

DESCRIPTION = """\
Lists the kernels of the embedded archive and of the local store. Kernels with the same layout
number are the same to tetrapy: all that it reads lies at the same offsets.

  tetrapy btf list                        all
  tetrapy btf list 6.1.0-                 those with 6.1.0- in their names
  tetrapy btf list '6.1.0-*-amd64'        those whose names, or ends of names, a pattern matches
  tetrapy btf list --json "$(uname -r)"   exit code 1 if there is none
"""


class Row(NamedTuple):
    """A kernel; `layout` is None where the archive has none with its answers."""

    key: str
    layout: Optional[int]
    place: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags and arguments."""
    parser.add_argument(
        "pattern", nargs="?", default="", metavar="PATTERN", help="part of the name, or * ? [a-z]"
    )
    parser.add_argument("--arch", default="", help="x86_64 or arm64")
    parser.add_argument("--json", action="store_true", help="for programs")
    add_archive_flags(parser)


def run(options: argparse.Namespace) -> int:
    """List; 1 if nothing matches or a stored kernel cannot be used."""
    known = Knowledge(options.archive, options.dir)
    arch = architecture(options.arch) if options.arch else ""
    rows = [Row(key, number, "archive") for key, number in known.archive.kernels.items()]
    damaged = False
    try:
        keys = known.store.keys()
    except TetrapyError as err:
        warn(f"Error: {err}")
        keys, damaged = [], True
    wanted = [row for row in rows if _matches(row.key, arch, options.pattern)]
    for key in keys:
        if not _matches(key, arch, options.pattern):
            continue
        try:
            wanted.append(Row(key, known.stored(key).layout, "local"))
        except TetrapyError as err:
            warn(f"Error: {err}")
            damaged = True
    wanted.sort(key=lambda row: (natural(row.key), row.place))
    if options.json:
        print_json(_document(wanted, known))
    else:
        _print(wanted, known, len(keys))
    return 1 if damaged or not wanted else 0


def _matches(key: str, arch: str, pattern: str) -> bool:
    if arch and f"/{arch}/" not in key:
        return False
    if any(letter in pattern for letter in "*?["):
        # The release alone is how people call a kernel.
        ends = [key] + [key.split("/", number)[number] for number in (1, 2, 3)]
        return any(fnmatch.fnmatchcase(end, pattern) for end in ends)
    return pattern in key


def natural(key: str) -> List[List[Tuple[int, str]]]:
    """A key to sort by: 6.9 before 6.10."""
    words = [re.findall(r"\d+|\D+", part) for part in key.split("/")]
    return [
        [(int(word), "") if word.isdecimal() else (-1, word) for word in part] for part in words
    ]


def _document(rows: List[Row], known: Knowledge) -> Dict[str, object]:
    return {
        "kernels": [row._asdict() for row in rows],
        "archive": {
            "kernels": len(known.archive.kernels),
            "layouts": len(known.archive.layouts),
            "bytes": len(known.packed),
        },
    }


def _print(rows: List[Row], known: Knowledge, stored: int) -> None:
    cells = [("layout", "in", "kernel")]
    cells += [
        ("other" if row.layout is None else str(row.layout), row.place, printable(row.key))
        for row in rows
    ]
    if rows:
        print("\n".join(table(cells, right=(0,))))
    archive = known.archive
    shown = "" if len(rows) == len(archive.kernels) + stored else f"{len(rows):,} shown of "
    local = f"; {counted(stored, 'kernel')} in {known.store.directory}" if stored else ""
    print(
        f"{shown}{counted(len(archive.kernels), 'kernel')},"
        f" {counted(len(archive.layouts), 'layout')}, {len(known.packed):,} bytes in"
        f" {known.archive_name}{local}"
    )
