#!/usr/bin/env python3
"""Makes btfs/archive.xz and btfs/INDEX.tsv from full BTFs of kernels, see btfs/README.md.

    python3 btfs/refresh.py [--corpus DIR] [--objects DIR] [--output DIR]

Needs bpftool.  The same corpus, objects and bpftool give the same bytes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "agent")]

from tetrapy.abi import core_relocs, core_resolve  # noqa: E402 - after the path is set
from tetrapy.abi.btf import Btf  # noqa: E402 - needs the path above
from tetrapy.btf.archive import DIGEST_DIGITS  # noqa: E402 - needs the path above
from tetrapy.btf.pack import pack  # noqa: E402 - needs the path above
from tetrapy.errors import TetrapyError  # noqa: E402 - needs the path above
from tools import bpf_objects  # noqa: E402 - needs the path above
from tools.errors import BuildError  # noqa: E402 - needs the path above
from tools.fetch import cache_dir  # noqa: E402 - needs the path above

SHARED = ROOT.parent / "shared" / "btf"
ARCHITECTURES = {"x86_64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}


class Kernel(NamedTuple):
    """A kernel of the corpus; `name` is its key in the archive, empty for kernels without one."""

    name: str
    arch: str
    path: Path


class Minimized(NamedTuple):
    """What is left of a kernel's BTF, and the SHA-256 of the whole."""

    kernel: Kernel
    data: bytes
    full_sha256: str


def bpftool() -> str:
    """The path of bpftool; BuildError if there is none."""
    found = shutil.which("bpftool", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if not found:
        raise BuildError("bpftool is not installed; on Debian: apt-get install bpftool")
    return found


def bpftool_version() -> str:
    """The version of bpftool, such as "v7.1.0"."""
    answer = subprocess.run([bpftool(), "version"], check=True, capture_output=True, text=True)
    return answer.stdout.splitlines()[0].split()[-1]


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


def kernels(corpus: Path) -> list[Kernel]:
    """All kernels below a directory: ID/VERSION_ID/arch/<uname -r>.btf, others without a key."""
    found = []
    for path in sorted(corpus.rglob("*.btf")):
        parts = path.relative_to(corpus).with_suffix("").parts
        if len(parts) == 4 and parts[2] in ARCHITECTURES and parts[0] != "other":
            arch = ARCHITECTURES[parts[2]]
            name = "/".join((*parts[:2], arch, path.name.removesuffix(".btf")))
        else:
            name = ""
            arch = "arm64" if "arm64" in str(path) or "aarch64" in str(path) else "x86_64"
        found.append(Kernel(name, arch, path))
    if not found:
        raise BuildError(f"{corpus} holds no ID/VERSION_ID/arch/*.btf")
    return found


def minimize(kernel: Kernel, objects: list[Path]) -> Minimized:
    """The part of a kernel's BTF that the objects' relocations read, made by bpftool."""
    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch) / "small.btf"
        command = [bpftool(), "gen", "min_core_btf", str(kernel.path), str(small)]
        done = subprocess.run(
            [*command, *map(str, objects)], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise BuildError(f"{kernel.path}: bpftool: {(done.stderr or done.stdout).strip()}")
        with kernel.path.open("rb") as file:
            return Minimized(kernel, small.read_bytes(), sha256(file.read()).hexdigest())


def unresolved(minimized: list[Minimized], objects: list[bytes]) -> list[str]:
    """The relocations that resolve in no kernel of an architecture, as "arch: relocation"."""
    missing = {}
    parsed = [core_relocs.of_object(data) for data in objects]
    for arch in sorted({entry.kernel.arch for entry in minimized}):
        for local, found in parsed:
            for relocation in found:
                text = f"{arch}: {core_relocs.describe(local, relocation)}"
                if relocation.kind != core_relocs.TYPE_ID_LOCAL:
                    missing[text] = (arch, local, relocation)
    # Equal bytes resolve equally.
    for arch, data in sorted({(entry.kernel.arch, entry.data) for entry in minimized}):
        target = Btf(data)
        for text, (wanted, local, relocation) in list(missing.items()):
            if wanted == arch and core_resolve.find(local, relocation, target):
                del missing[text]
    return sorted(missing)


def index(minimized: list[Minimized]) -> str:
    """The readable index: kernel, size and digest of its blob, SHA-256 of its full BTF."""
    lines = [f"# bpftool {bpftool_version()}", "kernel\tbytes\tdigest\tfull_sha256"]
    for entry in minimized:
        digest = sha256(entry.data).hexdigest()[:DIGEST_DIGITS]
        lines.append(f"{entry.kernel.name}\t{len(entry.data)}\t{digest}\t{entry.full_sha256}")
    return "\n".join(lines) + "\n"


def make(
    corpus: Path, objects: list[Path], digests: dict[str, str] | None = None
) -> tuple[bytes, str]:
    """The archive and its readable index.

    Raises BuildError when a relocation resolves nowhere, or a kernel of `digests` has another one.
    """
    images = [path.read_bytes() for path in objects]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        small = list(pool.map(lambda kernel: minimize(kernel, objects), kernels(corpus)))
    for entry in small:
        if (digests or {}).get(entry.kernel.name, entry.full_sha256) != entry.full_sha256:
            raise BuildError(f"{entry.kernel.path} is damaged: remove {corpus}, and try again")
    missing = unresolved(small, images)
    if missing:
        raise BuildError(
            "these relocations resolve in no kernel of the corpus (misspelt, or declared with a"
            f" type of another kind than the kernel's): {'; '.join(missing)}"
        )
    small = [entry for entry in small if entry.kernel.name]
    archive = pack({entry.kernel.name: entry.data for entry in small}, core_relocs.digest(images))
    return archive, index(small)


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
    count = listing.count("\n") - 2
    print(f"{len(archive):,} bytes for {count} kernels, {len(archive) / count:.1f} bytes each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
