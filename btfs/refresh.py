#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes btfs/archive.xz and btfs/INDEX.tsv from btfs/corpus.tar.xz, see btfs/README.md.

    python3 btfs/refresh.py [--objects DIR] [--output DIR]

The same corpus and objects give the same bytes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "agent")]

from btfs import corpus as corpora  # noqa: E402 - after the path is set
from btfs.corpus import Corpus  # noqa: E402 - needs the path above
from tetrapy.abi.core_queries import Answers, CoreQueries  # noqa: E402 - needs the path above
from tetrapy.btf.pack import order  # noqa: E402 - needs the path above
from tetrapy.btf.packing import (  # noqa: E402 - likewise
    Packed,
    answers_of_all,
    find_sources,
    is_witness,
)
from tetrapy.errors import TetrapyError  # noqa: E402 - needs the path above
from tools import bpf_objects  # noqa: E402 - needs the path above
from tools.errors import BuildError  # noqa: E402 - needs the path above


def index(packed: Packed, digests: dict[str, str]) -> str:
    """The readable index of an archive: one line a kernel, in the archive's order."""
    numbers: dict[Answers, int] = {}
    lines = ["kernel\tlayout\tfull_sha256"]
    for name in sorted(packed.kernels, key=order):
        number = numbers.setdefault(packed.kernels[name], len(numbers))
        lines.append(f"{name}\t{number}\t{digests[name]}")
    return "\n".join(lines) + "\n"


def make(corpus: Corpus, objects: list[Path]) -> tuple[bytes, str]:
    """The archive and its readable index.

    Raises BuildError when a query has no answer in any kernel of an architecture, or when a kernel
    cannot be read.
    """
    sources = find_sources([str(corpus.path)])
    found = {
        source.key: corpus.digests.get(source.key)
        or sha256(Path(source.path).read_bytes()).hexdigest()
        for source in sources
        if not is_witness(source.key)
    }
    if not found:
        raise BuildError(f"{corpus.path} holds no ID/VERSION_ID/arch/*.btf")
    queries = CoreQueries([path.read_bytes() for path in objects])
    packed = answers_of_all(sources, queries, os.cpu_count() or 1)
    if packed.failed:
        raise BuildError("; ".join(f"{source.path}: {error}" for source, error in packed.failed))
    missing = packed.unanswered()
    if missing:
        raise BuildError(
            "these have no answer in any kernel of an architecture (misspelt, or declared with a"
            f" type of another kind than the kernel's): {'; '.join(missing)}"
        )
    return packed.archive(), index(packed, found)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--objects", type=Path, help="directory of *.bpf.o (they are built)")
    parser.add_argument("--output", type=Path, default=ROOT / "btfs", help="directory (btfs)")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            if options.objects:
                objects = sorted(options.objects.glob("*.bpf.o"))
            else:
                objects = bpf_objects.build(Path(scratch))
            archive, listing = make(corpora.reduced(), objects)
    except (BuildError, TetrapyError) as err:
        print(f"refresh: {err}", file=sys.stderr)
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "archive.xz").write_bytes(archive)
    (options.output / "INDEX.tsv").write_text(listing)
    count = listing.count("\n") - 1
    print(f"{len(archive):,} bytes for {count} kernels, {len(archive) / count:.1f} bytes each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
