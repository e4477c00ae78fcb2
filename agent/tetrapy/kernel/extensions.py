# SPDX-License-Identifier: Apache-2.0
"""Extension modules of the bundle: Python imports them as if they were installed.

zipimport cannot: the dynamic linker wants a file. They are loaded as all native code of the bundle
is (kernel/native.py), when they are first imported.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from types import ModuleType
from typing import Any, Optional

from tetrapy.errors import BundleError, NativeCodeError

NAMES = frozenset({"orjson"})


class Extensions:
    """Finder and loader (PEP 451), for `sys.meta_path`."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        """What Python asks for once nothing else has the module."""
        if name not in NAMES or not EXTENSION_SUFFIXES:  # some Pythons load no libraries
            return None
        return ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module for the Python that runs.

        Raises ImportError where the bundle has none for it, or this host forbids to load it.
        """
        from tetrapy.kernel import bundle, native

        name = spec.name

        def load(path: str) -> ModuleType:
            loader = ExtensionFileLoader(name, path)
            try:
                return loader.create_module(ModuleSpec(name, loader, origin=path))
            except ImportError as err:
                raise OSError(str(err)) from err

        try:
            archive = f"lib/{name}-{os.uname().machine}.tar.xz"
            image = bundle.read_member(archive, f"{name}{EXTENSION_SUFFIXES[0]}")
            return native.load_image(image, f"{name}.so", load, native.RUN_DIRECTORY)
        except (BundleError, NativeCodeError) as err:
            raise ImportError(str(err), name=name) from err

    def exec_module(self, module: ModuleType) -> None:
        """Run it; multi-phase modules (PEP 489) are empty until then."""
        ExtensionFileLoader(module.__name__, "").exec_module(module)


def install() -> None:
    """From now on the modules of NAMES can be imported."""
    sys.meta_path.append(Extensions())
