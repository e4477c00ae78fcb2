# SPDX-License-Identifier: Apache-2.0
"""The files that tetrapy carries besides its sources: BPF objects, native code, the BTF archive.

They are resources of this package, below `data`: in the packed file where tools/zipapp.py puts
them; when the sources are run as they lie, `data` is a link to what the build stages in
build/bundle.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from tetrapy.errors import BundleError

_PACKAGE = "tetrapy.kernel"
_DIRECTORY = "data"
_BLOCK = 512  # of a tar file


def read(name: str) -> bytes:
    """The contents of a file of the bundle, such as "bpf/base.bpf.o" or "btfs/archive.xz".

    Raises BundleError when the bundle has no such file.
    """
    place = _files(_PACKAGE)
    for part in (_DIRECTORY, *name.split("/")):
        place = place.joinpath(part)
    try:
        contents: bytes = place.read_bytes()
    except (OSError, EOFError, KeyError) as err:
        what = "build or download it again; build_zipapp.py makes it"
        raise BundleError(f"this tetrapy carries no {name}; {what}") from err
    return contents


def read_packed(name: str) -> bytes:
    """The contents of a file that the bundle has packed, by the name `name`.xz.

    Raises BundleError when it has none, and where this Python was built without lzma.
    """
    contents: bytes = _lzma(name).decompress(read(f"{name}.xz"))
    return contents


def read_member(archive: str, name: str) -> bytes:
    """The contents of the file `name` in `archive`, a .tar.xz of plain files in the bundle.

    Nothing behind that file is unpacked. Raises BundleError when the bundle has no such archive,
    the archive has no such file, and where this Python was built without lzma.
    """
    with _lzma(name).open(io.BytesIO(read(archive))) as unpacked:
        # The headers of ustar (POSIX.1-1988, pax): a name at 0, a size in octal digits at 124.
        # tarfile, with what it imports, costs as much as unpacking.
        while header := unpacked.read(_BLOCK).strip(b"\0"):
            size = int(header[124:135], 8)
            if header[:100].rstrip(b"\0") == name.encode():
                member: bytes = unpacked.read(size)
                return member
            unpacked.seek(-size % _BLOCK + size, io.SEEK_CUR)
    raise BundleError(f"this tetrapy carries no {name} in {archive}")


def _lzma(name: str) -> Any:
    try:
        import lzma
    except ImportError as err:
        raise BundleError(f"this Python cannot unpack {name}: it has no lzma, {err}") from err
    return lzma


def _files(package: str) -> Any:
    # Imported late: with what it imports it costs 24 million instructions. Before Python 3.10 the
    # library's own does not ask an importer for its reader (resources.py).
    if sys.version_info >= (3, 10):
        from importlib.resources import files  # novm
    else:
        from importlib_resources import files  # type: ignore[import-not-found, unused-ignore]
    return files(package)
