# SPDX-License-Identifier: Apache-2.0
"""The objects with the programs of policies: without what loads them, for who only reads them.

The bundle has them packed: tetrapy.kernel.bundle.read_packed.
"""

from __future__ import annotations

RING_OBJECT = "bpf/policy.bpf.o"
PERF_OBJECT = "bpf/policy-perf.bpf.o"
OBJECTS = (RING_OBJECT, PERF_OBJECT)
