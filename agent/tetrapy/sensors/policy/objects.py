# SPDX-License-Identifier: Apache-2.0
"""The objects with the programs of policies: without what loads them, for who only reads them."""

from __future__ import annotations

from tetrapy.kernel import bundle

RING_OBJECT = "bpf/policy.bpf.o"
PERF_OBJECT = "bpf/policy-perf.bpf.o"
OBJECTS = (RING_OBJECT, PERF_OBJECT)


def read(name: str) -> bytes:
    """One of OBJECTS. Raises BundleError.

    That of few kernels is packed more tightly, which takes twice as long to unpack.
    """
    return bundle.read(name) if name == RING_OBJECT else bundle.read_packed(name)


BASE_MAPS = ("events", "losses", "owner_losses", "shares", "processes", "counters", ".bss")
"""Maps of the base object that the programs use too."""

COMMON_MAPS = (
    "hooks",
    "hook_counts",
    "sets",
    *("returning", "return_counts", "rates"),
    *("images", "image_counts"),
    "workloads",
    "monitors",
    *("enforcements", "enforcement_counts"),
    "tracked",
    "uses",
    "silent",
)
"""Maps that all instances of the programs have in common."""
