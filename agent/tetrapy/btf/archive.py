"""The archive of minimized BTFs that every bundle carries: `btfs/archive.xz`.

The file is one xz stream.  What it holds is a text, an empty line, and the blobs behind each other:

    tetrapy-btf 1
    objects <digest of the relocations of the BPF objects, see abi.core_relocs>
    blob <size in bytes> <first 16 hex digits of its SHA-256>
    ...
    kernel <number of its blob, from 0> <ID>/<VERSION_ID>/<arch>/<uname -r>
    ...

Kernels with equal blobs share one.  Everything is unpacked at once: it is small, and one solid
stream compresses far better than single entries.  Nothing is believed before it is checked: the xz
stream carries a SHA-256 of its own, each blob its digest, and `ArchiveError` is raised for damage.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from tetrapy.abi import core_relocs
from tetrapy.errors import ArchiveError

FORMAT = "tetrapy-btf 1"
DIGEST_DIGITS = 16

# More than a hundred times of what the archive needs; a file that wants more is no archive.
MAX_UNPACKED = 64 << 20
_MAX_DECODER_MEMORY = 128 << 20


class Blob(NamedTuple):
    """Where a minimized BTF is in the unpacked archive, and the start of its SHA-256."""

    offset: int
    size: int
    digest: str


class Archive:
    """An opened archive. Kernels are named `ID/VERSION_ID/arch/<uname -r>`."""

    def __init__(self, data: bytes) -> None:
        """Open the bytes of `btfs/archive.xz`."""
        if not data:
            raise ArchiveError("the BTF archive is empty")
        unpacked = _decompress(data)
        head, separator, self._blob_bytes = unpacked.partition(b"\n\n")
        if not separator:
            raise ArchiveError("the BTF archive is damaged: no end of its index")
        try:
            self._read_head(head.decode().split("\n"))
        except ValueError as err:
            raise ArchiveError(f"the BTF archive is damaged: index, {err}") from err

    def _read_head(self, lines: List[str]) -> None:
        """Lines of the format above; a ValueError is raised for everything that does not fit."""
        if lines[0] != FORMAT:
            raise ArchiveError(f"the BTF archive starts with {lines[0][:40]!r}, not {FORMAT!r}")
        keyword, _, self.objects = lines[1].partition(" ") if len(lines) > 1 else ("", "", "")
        if keyword != "objects":
            raise ValueError("no digest of the objects")
        self.blobs: List[Blob] = []
        self.kernels: Dict[str, int] = {}
        offset = 0
        for line in lines[2:]:
            keyword, first, second = line.split(" ", 2)
            number = int(first)
            if keyword == "blob" and number >= 0:
                self.blobs.append(Blob(offset, number, second))
                offset += number
            elif keyword == "kernel" and 0 <= number < len(self.blobs):
                self.kernels[second] = number
            else:
                raise ValueError(f"line {line[:80]!r}")
        if offset != len(self._blob_bytes):
            raise ValueError(f"blobs of {offset} bytes, {len(self._blob_bytes)} are there")

    def blob(self, number: int) -> bytes:
        """The bytes of a blob, verified."""
        offset, size, digest = self.blobs[number]
        data = self._blob_bytes[offset : offset + size]
        found = sha256(data).hexdigest()[:DIGEST_DIGITS]
        if found != digest:
            raise ArchiveError(
                f"the BTF archive is damaged: blob {number} is {found}, not {digest}"
            )
        return data

    def find(self, kernel: str) -> Optional[bytes]:
        """The minimized BTF of exactly this kernel, or None."""
        number = self.kernels.get(kernel)
        return None if number is None else self.blob(number)

    def find_release(self, arch: str, release: str) -> List[Tuple[str, int]]:
        """Names and blob numbers of the kernels of any distribution with this `uname -r`."""
        suffix = f"/{arch}/{release}"
        return [(name, blob) for name, blob in self.kernels.items() if name.endswith(suffix)]


def check_objects(archive: bytes, objects: Iterable[bytes]) -> None:
    """Raise ArchiveError unless the archive was made for the relocations of these ELF objects."""
    made_for, wanted = Archive(archive).objects, core_relocs.digest(objects)
    if made_for != wanted:
        raise ArchiveError(
            f"the BTF archive was made for other BPF objects: their relocations have the digest"
            f" {made_for[:16]}, these have {wanted[:16]}; `python3 btfs/refresh.py` makes it anew"
        )


def _decompress(data: bytes) -> bytes:
    try:
        import lzma
    except ImportError as err:
        raise ArchiveError(
            f"this Python cannot read the BTF archive: no lzma module, {err}"
        ) from err
    try:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_DECODER_MEMORY)
        unpacked = decoder.decompress(data, max_length=MAX_UNPACKED)
    except (lzma.LZMAError, EOFError) as err:
        raise ArchiveError(f"the BTF archive is damaged: {err}") from err
    if not decoder.eof or decoder.unused_data:
        # The stream's own digest is checked at its end, so what has no end is not used.
        raise ArchiveError(
            "the BTF archive is damaged: cut short, longer than it says or too large"
        )
    return unpacked
