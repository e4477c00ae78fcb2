# SPDX-License-Identifier: Apache-2.0
"""Which BTF describes the running kernel: discovery, the embedded archive, private files."""
