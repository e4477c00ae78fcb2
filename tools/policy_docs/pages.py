# SPDX-License-Identifier: Apache-2.0
"""All that is generated."""

from __future__ import annotations

from tetrapy.policy import json_schema
from tools.policy_docs import matrix, syscalls, types

SCHEMA = "docs/tracingpolicy.schema.json"


def pages() -> dict[str, str]:
    """Path below the repository -> content."""
    return {
        types.PATH: types.source(),
        syscalls.PATH: syscalls.source(),
        SCHEMA: json_schema.text(),
        matrix.PATH: matrix.page(),
    }
