# SPDX-License-Identifier: Apache-2.0
"""Pure readers of the binary interface between the BPF objects and Python: ELF, BTF, layouts."""
