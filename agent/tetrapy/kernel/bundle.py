# SPDX-License-Identifier: Apache-2.0
"""The files that tetrapy carries besides its sources: BPF objects, native code, the BTF archive.

They are resources of this package, below `data`: in the packed file where tools/zipapp.py puts
them; when the sources are run as they lie, `data` is a link to what the build stages in
build/bundle.
"""

from __future__ import annotations

import sys
from typing import Any

from tetrapy.errors import BundleError

_PACKAGE = "tetrapy.kernel"
_DIRECTORY = "data"


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
    try:
        import lzma
    except ImportError as err:
        raise BundleError(f"this Python cannot unpack {name}: it has no lzma, {err}") from err
    return lzma.decompress(read(f"{name}.xz"))


def _files(package: str) -> Any:
    # Imported late: with what it imports it costs 24 million instructions. Before Python 3.10 the
    # library's own does not ask an importer for its reader (resources.py).
    if sys.version_info >= (3, 10):
        from importlib.resources import files  # novm
    else:
        from importlib_resources import files  # type: ignore[import-not-found, unused-ignore]
    return files(package)
