# SPDX-License-Identifier: Apache-2.0
"""Parts of pyroute2 without the whole.

The package's own module imports everything that pyroute2 has: 370 modules, asyncio and ssl among
them, and 25 MB of memory. Its parts stand alone; with a package that was not executed, the process
connector takes 5 MB.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from tetrapy.errors import BundleError

_PACKAGE = "pyroute2"


def part(name: str) -> ModuleType:
    """The module `pyroute2.<name>`.

    Raises BundleError when this file or this Python lacks what the module needs.
    """
    try:
        if _PACKAGE not in sys.modules:
            sys.modules[_PACKAGE] = _not_executed()
        return importlib.import_module(f"{_PACKAGE}.{name}")
    except ImportError as err:
        text = f"pyroute2 cannot be used: {err}; take a Python with its whole standard library"
        raise BundleError(text) from err


def _not_executed() -> ModuleType:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None:
        raise ImportError(f"no module named {_PACKAGE}")
    return importlib.util.module_from_spec(spec)
