# SPDX-License-Identifier: Apache-2.0
"""Which process runs which image, and who started it."""
