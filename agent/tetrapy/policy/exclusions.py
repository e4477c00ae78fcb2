# SPDX-License-Identifier: Apache-2.0
"""What NotIn, NotPrefix and NotPostfix of binaries leave out.

A path is what the process' own root directory and mounts make of it, and who has those of his own
has any file there. So a program is left out where the host has the same file at the path, and the
others count as ones that the filter wants. A policy may say that it means paths as they are.
"""

from __future__ import annotations

from tetrapy.policy import values
from tetrapy.policy.types import Policy

OPTION = "written-path"


def means_written_path(policy: Policy) -> bool:
    """Whether a checked policy leaves out whatever is at a path, as Tetragon does."""
    # The last one counts, as of all options.
    asked = [one.value for one in policy.spec.options if one.name == OPTION]
    return bool(asked) and values.boolean(asked[-1])
