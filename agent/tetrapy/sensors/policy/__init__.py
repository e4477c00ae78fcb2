# SPDX-License-Identifier: Apache-2.0
"""Tracing policies in the kernel: what their hooks read, filter and report."""
