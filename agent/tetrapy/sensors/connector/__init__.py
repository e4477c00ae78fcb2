# SPDX-License-Identifier: Apache-2.0
"""The sensor for where eBPF cannot be used: the kernel's process connector and procfs."""
