#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build dist/tetrapy.pyz from the sources and pinned packages; prints what each part costs.

Needs Python 3.11, pip or venv, and network access the first time. Downloads and built libraries are
kept under ~/.cache/tetrapy, or $TETRAPY_CACHE.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    sys.exit(f"building needs Python 3.11 or newer; this is {sys.version.split()[0]}")

from tools import zipapp
from tools.errors import BuildError

if __name__ == "__main__":
    try:
        zipapp.build()
    except BuildError as err:
        sys.exit(f"build_zipapp.py: {err}")
