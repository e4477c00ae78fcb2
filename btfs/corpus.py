# SPDX-License-Identifier: Apache-2.0
"""The BTFs of kernels that the archive is made of, and that tests use.

Everybody has the reduced ones in btfs/corpus.tar.xz, which `reduce.py` makes, and of which the
archive is made. Full ones of many of them are in ../shared/btf, for those who have it.
"""

from __future__ import annotations

import fcntl
import functools
import lzma
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from tools.errors import BuildError
from tools.fetch import cache_dir

HERE = Path(__file__).resolve().parent
SHARED = HERE.parent.parent / "shared" / "btf"
_FULL = SHARED / "corpus.btfhash.zst"
PACKED = HERE / "corpus.tar.xz"
# Beside the BTFs in it: SHA-256 and name of each kernel's full BTF, and what the reduced ones keep.
DIGESTS, STRUCTURES = "full.sha256", "structures"


class Corpus(NamedTuple):
    """A directory of BTFs, DIR/ID/VERSION_ID/arch/<uname -r>.btf and DIR/other.

    `digests` are the SHA-256 of the full BTFs by kernel; of other kernels the files are the full
    ones. `structures` are the names of those that are kept whole.
    """

    path: Path
    digests: dict[str, str]
    structures: frozenset[str]


def files() -> dict[Path, Path]:
    """Every BTF by its path in the corpus: the full one where it is there, and these last."""
    small, whole = _files(reduced().path), _files(full()) if has_full() else {}
    return {name: path for name, path in small.items() if name not in whole} | whole


def _files(directory: Path) -> dict[Path, Path]:
    return {path.relative_to(directory): path for path in sorted(directory.rglob("*.btf"))}


def has_full() -> bool:
    """Whether there are full BTFs."""
    return _FULL.is_file()


@functools.cache
def full() -> Path:
    """The directory of the BTFs of ../shared/btf.

    Raises BuildError when it is not there or cannot be unpacked.
    """
    if not has_full():
        raise BuildError(f"no full BTFs: {_FULL} is not there; give a directory with --corpus")

    def unpack(scratch: Path) -> None:
        # It checks every file itself.
        subprocess.run([str(SHARED / "unpack.sh"), str(scratch)], check=True)

    return _unpacked(_FULL, unpack) / "corpus"


@functools.cache
def reduced() -> Corpus:
    """The corpus of this repository. Raises BuildError when it cannot be unpacked."""

    def unpack(scratch: Path) -> None:
        with lzma.open(PACKED) as stream, tarfile.open(fileobj=stream) as tar:
            for member in tar:
                path = scratch / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                if member.islnk():
                    path.hardlink_to(scratch / member.linkname)
                    continue
                content = tar.extractfile(member)
                assert content is not None, member
                path.write_bytes(content.read())

    home = _unpacked(PACKED, unpack)
    lines = (home / DIGESTS).read_text().splitlines()
    digests = {kernel: digest for digest, kernel in (line.split("  ") for line in lines)}
    return Corpus(home, digests, frozenset((home / STRUCTURES).read_text().split()))


def _unpacked(packed: Path, unpack: Callable[[Path], None]) -> Path:
    """A directory in the cache with what is in a file; it gets its name when it is complete.

    One process unpacks, others wait for it: the full corpus takes a minute of a processor.
    """
    home = cache_dir() / "corpus" / sha256(packed.read_bytes()).hexdigest()[:16]
    if home.is_dir():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if home.is_dir():
            return home
        scratch = Path(tempfile.mkdtemp(dir=home.parent))
        try:
            unpack(scratch)
            scratch.rename(home)
        except (OSError, subprocess.CalledProcessError, lzma.LZMAError, tarfile.TarError) as err:
            raise BuildError(
                f"{packed} cannot be unpacked (the full corpus takes g++ and zstd): {err}"
            ) from err
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return home
