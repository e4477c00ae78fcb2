# SPDX-License-Identifier: Apache-2.0
"""tetrapy: security observability for Linux, in one file."""
