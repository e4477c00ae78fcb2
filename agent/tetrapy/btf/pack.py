"""Writes what `archive` reads. Equal input gives equal bytes."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Dict, List, Mapping, Tuple

from tetrapy.btf.archive import DIGEST_DIGITS, FORMAT
from tetrapy.errors import ArchiveError


def pack(kernels: Mapping[str, bytes], objects: str) -> bytes:
    """The archive of minimized BTFs by kernel name, for objects with this relocation digest."""
    blobs: List[bytes] = []
    numbers: Dict[bytes, int] = {}
    lines = []
    for name in sorted(kernels, key=_order):
        if name.count("/") != 3 or name.split() != [name]:
            raise ArchiveError(f"{name!r} is no kernel's name, ID/VERSION_ID/arch/<uname -r>")
        data = kernels[name]
        if data not in numbers:
            numbers[data] = len(blobs)
            blobs.append(data)
        lines.append(f"kernel {numbers[data]} {name}")
    heads = [FORMAT, f"objects {objects}"]
    heads += [f"blob {len(blob)} {sha256(blob).hexdigest()[:DIGEST_DIGITS]}" for blob in blobs]
    return _compress("\n".join(heads + lines).encode() + b"\n\n" + b"".join(blobs))


def _order(name: str) -> Tuple[object, ...]:
    """By architecture, flavour and version: neighbours are alike, which is what compresses."""
    place, _, release = name.rpartition("/")
    flavour = release.lstrip("0123456789.+-")
    numbers = tuple(int(digits) for digits in re.findall("[0-9]+", release))
    return place.rpartition("/")[2], flavour, numbers, name


def _compress(data: bytes) -> bytes:
    import lzma

    # What repeats are whole types and names; where they stand in a word says nothing (pb).
    words = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "pb": 0}
    words["dict_size"] = 4 << 20
    return lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_SHA256, filters=[words])
