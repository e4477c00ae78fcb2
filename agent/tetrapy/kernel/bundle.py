"""The files that tetrapy carries besides its sources: BPF objects, native code, the BTF archive.

Packed, they are resources, read through importlib_resources. When the sources are run as they lie,
the same names are the outputs of the build in build/bundle.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any, cast
from zipimport import zipimporter

from tetrapy.errors import BundleError

if TYPE_CHECKING:
    from types import ModuleType

# tools/zipapp.py puts the bundle here, beside this module.
_RESOURCES = "data"
_BUILD_OUTPUTS = "../../../build/bundle"


def read(name: str) -> bytes:
    """The contents of a file of the bundle, such as "bpf/base.bpf.o" or "btfs/archive.xz".

    Raises BundleError when the bundle has no such file.
    """
    if not isinstance(_loader(), zipimporter):
        return _read_build_output(name)
    # Imported here because unpacked sources, such as in a unit test, need not have it.
    import importlib_resources

    anchor = cast("ModuleType", _Anchor)
    try:
        contents: bytes = importlib_resources.files(anchor).joinpath(name).read_bytes()
    except (OSError, EOFError) as err:
        raise BundleError(f"this tetrapy carries no {name}; build or download it again") from err
    return contents


def _loader() -> object:
    return __spec__.loader


def _read_build_output(name: str) -> bytes:
    path = os.path.normpath(os.path.join(os.path.dirname(__file__), _BUILD_OUTPUTS, name))
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as err:
        raise BundleError(f"{path}: {err.strerror}; build_zipapp.py makes it") from err


class _Reader:
    """A resource reader, importlib.resources.abc.ResourceReader, that uses the running zipimport.

    The reader that importlib_resources brings reads the archive's directory again for each file,
    with zipfile: 25 million instructions each.
    """

    def open_resource(self, name: str) -> io.BytesIO:
        loader = cast("zipimporter", _loader())
        directory = os.path.dirname(__file__)
        return io.BytesIO(loader.get_data(f"{directory}/{_RESOURCES}/{name}"))


class _Loader:
    def get_resource_reader(self, name: str) -> _Reader:
        return _Reader()


class _Spec:
    name = __name__
    loader = _Loader()
    origin = None
    submodule_search_locations = None


class _Anchor:
    """What importlib_resources looks at in a module that files lie beside."""

    __spec__: Any = _Spec()
