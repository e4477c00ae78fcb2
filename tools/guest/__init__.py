# SPDX-License-Identifier: Apache-2.0
"""Guests: stock kernels of other releases, booted in QEMU without hardware virtualization.

`kernels` knows which (tests/vm/kernels.toml) and makes them bootable, `root` builds the one root
file system they share, `qemu` boots one with a script and files and brings back what it left.
"""

from __future__ import annotations

import sys
from pathlib import Path

# The agent's own readers take packages and kernels apart.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "agent"))
