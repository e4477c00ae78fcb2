# SPDX-License-Identifier: Apache-2.0
"""Documents, completions and types that are written from the table of settings."""
