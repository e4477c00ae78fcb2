# SPDX-License-Identifier: Apache-2.0
"""What is loaded into the kernel and attached, and the life cycle of that."""
