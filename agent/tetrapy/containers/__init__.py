# SPDX-License-Identifier: Apache-2.0
"""Which container a process runs in."""
