#!/usr/bin/env python3
"""Makes btfs/archive.xz and btfs/INDEX.tsv from full BTFs of kernels, see btfs/README.md.

    python3 btfs/refresh.py [--corpus DIR] [--objects DIR] [--output DIR]

The same corpus and objects give the same bytes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "agent")]

from tetrapy.abi.core_needs import Facts, Needs  # noqa: E402 - after the path is set
from tetrapy.btf.pack import order  # noqa: E402 - needs the path above
from tetrapy.btf.packing import (  # noqa: E402 - likewise
    Packed,
    facts_of_all,
    find_sources,
    is_witness,
)
from tetrapy.errors import TetrapyError  # noqa: E402 - needs the path above
from tools import bpf_objects  # noqa: E402 - needs the path above
from tools.errors import BuildError  # noqa: E402 - needs the path above
from tools.fetch import cache_dir  # noqa: E402 - needs the path above

SHARED = ROOT.parent / "shared" / "btf"


def shared_corpus() -> Path:
    """The corpus of ../shared/btf, unpacked into the cache unless it is there already.

    Its own unpack.sh checks every file; the directory gets its name only when that went well.
    """
    packed = SHARED / "corpus.btfhash.zst"
    if not packed.is_file():
        raise BuildError(f"no corpus of full BTFs: {packed} is not there; give one with --corpus")
    with packed.open("rb") as file:
        digest = sha256(file.read()).hexdigest()
    home = cache_dir() / "corpus" / digest[:16]
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=home.parent))
        try:
            subprocess.run([str(SHARED / "unpack.sh"), str(scratch)], check=True)
            scratch.rename(home)
        except (OSError, subprocess.CalledProcessError) as err:
            raise BuildError(f"the corpus cannot be unpacked (g++ and zstd?): {err}") from err
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return home / "corpus"


def shared_digests() -> dict[str, str]:
    """Kernel name -> SHA-256 of its full BTF, as the index of the shared corpus states them."""
    rows = (SHARED / "INDEX.tsv").read_text().splitlines()[1:]
    fields = (row.split("\t") for row in rows)
    return {f"debian/{row[0]}/{row[1]}/{row[2]}": row[7] for row in fields}


def index(packed: Packed, digests: dict[str, str]) -> str:
    """The readable index of an archive: one line a kernel, in the archive's order."""
    numbers: dict[Facts, int] = {}
    lines = ["kernel\tlayout\tfull_sha256"]
    for name in sorted(packed.kernels, key=order):
        number = numbers.setdefault(packed.kernels[name], len(numbers))
        lines.append(f"{name}\t{number}\t{digests[name]}")
    return "\n".join(lines) + "\n"


def make(
    corpus: Path, objects: list[Path], digests: dict[str, str] | None = None
) -> tuple[bytes, str]:
    """The archive and its readable index.

    Raises BuildError when a need has no answer in any kernel of an architecture, when a kernel
    cannot be read, or one of `digests` has another digest.
    """
    sources = find_sources([str(corpus)])
    found = {}
    for source in sources:
        if not is_witness(source.key):
            found[source.key] = sha256(Path(source.path).read_bytes()).hexdigest()
            if (digests or {}).get(source.key, found[source.key]) != found[source.key]:
                raise BuildError(f"{source.path} is damaged: remove {corpus}, and try again")
    if not found:
        raise BuildError(f"{corpus} holds no ID/VERSION_ID/arch/*.btf")
    needs = Needs([path.read_bytes() for path in objects])
    packed = facts_of_all(sources, needs, os.cpu_count() or 1)
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
    parser.add_argument("--corpus", type=Path, help="directory of full BTFs (../shared/btf)")
    parser.add_argument("--objects", type=Path, help="directory of *.bpf.o (they are built)")
    parser.add_argument("--output", type=Path, default=ROOT / "btfs", help="directory (btfs)")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            if options.objects:
                objects = sorted(options.objects.glob("*.bpf.o"))
            else:
                objects = bpf_objects.build(Path(scratch))
            if options.corpus:
                archive, listing = make(options.corpus, objects)
            else:
                archive, listing = make(shared_corpus(), objects, shared_digests())
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
