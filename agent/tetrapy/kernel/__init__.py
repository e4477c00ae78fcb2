# SPDX-License-Identifier: Apache-2.0
"""The one room with native code: libbpf, kernel objects, buffers, probes, and the bundle."""
