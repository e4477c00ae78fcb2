# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf merge`: the parts that several machines packed, as one archive."""

from __future__ import annotations

import argparse

from tetrapy.btf.archive import Archive
from tetrapy.btf.packing import merge
from tetrapy.cli.btf.known_kernels import Knowledge, read_archive
from tetrapy.cli.btf.pack import add_output_flags, write
from tetrapy.errors import ArchiveError
from tetrapy.visible import printable

DESCRIPTION = """\
Makes one archive of the parts that `tetrapy btf pack --shard` made. Their number and order make no
difference: the result is what one `pack` of everything gives, byte for byte. A kernel that is in
two parts with different answers is an error.

  tetrapy btf merge part-*.xz --output archive.xz
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags and arguments."""
    parser.add_argument("parts", nargs="+", metavar="PART", help="archive")
    add_output_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Merge; errors name the part that is to blame."""
    parts = []
    for path in options.parts:
        try:
            parts.append((printable(path), Archive(read_archive(path))))
        except ArchiveError as err:
            raise ArchiveError(f"{printable(path)}: {err}") from err
    write(merge(parts), options.output, Knowledge(), partial=options.partial)
    return 0
