# SPDX-License-Identifier: Apache-2.0
"""All that is written from the schema of events."""

from __future__ import annotations

from tools.event_docs import encoders, json_schema, page


def files() -> dict[str, str]:
    """Path below the repository -> content."""
    return {
        "agent/tetrapy/events/encoders.py": encoders.source(),
        "docs/events.md": page.markdown(),
        "docs/events.schema.json": json_schema.document(),
    }
