"""The files that tetrapy carries besides its sources: BPF objects, native code, the BTF archive.

Packed, they lie beside this module and its loader reads them (PEP 302, `get_data`). When the
sources are run as they lie, the same names are the outputs of the build in build/bundle.
"""

from __future__ import annotations

import os
from typing import cast
from zipimport import zipimporter

from tetrapy.errors import BundleError

# tools/zipapp.py puts the bundle here, beside this module; the name within the packed file.
_PACKED = "tetrapy/kernel/data"
_BUILD_OUTPUTS = "../../../build/bundle"


def read(name: str) -> bytes:
    """The contents of a file of the bundle, such as "bpf/base.bpf.o" or "btfs/archive.xz".

    Raises BundleError when the bundle has no such file.
    """
    loader = cast("object", __spec__.loader)
    if not isinstance(loader, zipimporter):
        directory = os.path.dirname(__file__)
        return _read_build_output(os.path.normpath(os.path.join(directory, _BUILD_OUTPUTS, name)))
    try:
        return loader.get_data(f"{_PACKED}/{name}")
    except (OSError, EOFError) as err:
        raise BundleError(f"this tetrapy carries no {name}; build or download it again") from err


def _read_build_output(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as err:
        raise BundleError(f"{path}: {err.strerror}; build_zipapp.py makes it") from err
