# SPDX-License-Identifier: Apache-2.0
"""The executable: tetrapy.pyz behind an interpreter of its own (docs/decisions/executable.md)."""
