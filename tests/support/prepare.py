# SPDX-License-Identifier: Apache-2.0
"""Prepares a process as the agent does, and prints what came of it as JSON; run by tests.

python3 -m tests.support.prepare [VARIANT]      with agent/ and the repository in PYTHONPATH
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

from tetrapy.kernel.kernel_memory import KernelMemory
from tetrapy.kernel.reference_process import ReferenceProcess, prepared


def shown(reference: ReferenceProcess) -> dict[str, Any]:
    """The attributes, bytes as text."""
    found = {name: value for name, value in vars(reference).items() if not name.startswith("_")}
    del found["read"]
    return found


def main() -> None:
    variant = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with contextlib.closing(KernelMemory()) as memory, prepared(memory, variant) as reference:
        reference.end()
        print(json.dumps(shown(reference), default=lambda value: value.decode()))


if __name__ == "__main__":
    main()
