# SPDX-License-Identifier: Apache-2.0
"""The exception of the build side."""

from __future__ import annotations


class BuildError(Exception):
    """The build cannot go on; the text says what was tried, what was found, and what to do."""
