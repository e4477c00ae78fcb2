# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy schema`."""

from __future__ import annotations

from typing import List

from tetrapy.cli.client.arguments import Values
from tetrapy.cli.config import write
from tetrapy.policy.json_schema import text


def run(_options: Values, _arguments: List[str]) -> int:
    """Print the JSON Schema; returns the exit code."""
    return write(text())
