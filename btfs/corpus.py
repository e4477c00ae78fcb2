# SPDX-License-Identifier: Apache-2.0
"""The BTFs of kernels that the archive is made of, and that tests use.

The full ones are in ../shared/btf, for those who have it. Everybody has the reduced ones in
btfs/corpus.tar.xz (`reduce.py` makes them), which give the same archive.
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
PACKED = HERE / "corpus.tar.xz"


class Corpus(NamedTuple):
    """A directory of BTFs, DIR/ID/VERSION_ID/arch/<uname -r>.btf and DIR/other.

    `digests` are the SHA-256 of the full BTFs by kernel; `is_full` tells whether the files have
    these.
    """

    path: Path
    digests: dict[str, str]
    is_full: bool


@functools.cache
def available() -> Corpus:
    """The full corpus where it is, else the reduced one."""
    return full() if (SHARED / "corpus.btfhash.zst").is_file() else reduced()


def full() -> Corpus:
    """The corpus of ../shared/btf. Raises BuildError when it is not there or cannot be unpacked."""
    packed = SHARED / "corpus.btfhash.zst"
    if not packed.is_file():
        raise BuildError(f"no corpus of full BTFs: {packed} is not there; give one with --corpus")

    def unpack(scratch: Path) -> None:
        # It checks every file itself.
        subprocess.run([str(SHARED / "unpack.sh"), str(scratch)], check=True)

    home = _unpacked(packed, unpack)
    rows = (SHARED / "INDEX.tsv").read_text().splitlines()[1:]
    fields = (row.split("\t") for row in rows)
    digests = {f"debian/{row[0]}/{row[1]}/{row[2]}": row[7] for row in fields}
    return Corpus(home / "corpus", digests, is_full=True)


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

    rows = (HERE / "INDEX.tsv").read_text().splitlines()[1:]
    digests = {kernel: digest for kernel, _, digest in (row.split("\t") for row in rows)}
    return Corpus(_unpacked(PACKED, unpack), digests, is_full=False)


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
