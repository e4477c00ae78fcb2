# SPDX-License-Identifier: Apache-2.0
"""Whose records were lost: by user and cgroup, as the kernel side counts them (bpf/share.h)."""

from __future__ import annotations

import heapq
from typing import Dict, Mapping, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.abi.layout import struct_layout, unpacker
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.maps import BpfMap

OWNERS = 64  # of which totals are kept, those that lost most
OTHERS = ("", "")  # all the rest

Owner = Tuple[str, str]  # real uid; inode number of the cgroup's directory


class OwnerLosses:
    """Takes the counters out of the kernel's map; `totals` is what came so far."""

    def __init__(self, btf: Btf, loaded: BpfObject) -> None:
        """`loaded` is the object with the map, of which `btf` is the BTF."""
        layout = struct_layout(btf, "owner")
        self._key = unpacker(layout, ("cgroup", "uid"))
        self._map = BpfMap(loaded.map_fd("owner_losses"), layout.size, 8)
        self.totals: Dict[Owner, int] = {}

    def take(self) -> Dict[Owner, int]:
        """Records lost since the last call. Raises KernelError when the map cannot be read.

        What is lost between the look at an owner and its removal is missing here; the losses by
        kind have it.
        """
        new: Dict[Owner, int] = {}
        for key in list(self._map):
            value = self._map.get(key)
            if value is None:
                continue
            self._map.delete(key)
            cgroup, uid = self._key.unpack_from(key)
            new[str(uid), str(cgroup)] = int.from_bytes(value, "little")
        if new:
            self.totals = bounded(self.totals, new)
        return new


def bounded(totals: Mapping[Owner, int], new: Mapping[Owner, int]) -> Dict[Owner, int]:
    """The sums of both, at most OWNERS of them by name; a sum never shrinks while it is shown."""
    sums = dict(totals)
    for owner, count in new.items():
        if owner in sums or len(sums) < OWNERS:
            sums[owner] = sums.get(owner, 0) + count
        else:
            sums[OTHERS] = sums.get(OTHERS, 0) + count
    return sums


def describe_owners(new: Mapping[Owner, int], most: int = 3) -> str:
    """`uid 65534 in cgroup 4242: 17 lost`, of those that lost most."""
    largest = heapq.nlargest(most, new.items(), key=lambda one: one[1])
    texts = [f"uid {uid} in cgroup {cgroup}: {count}" for (uid, cgroup), count in largest]
    if len(new) > most:
        texts.append(f"{len(new) - most} others: {sum(new.values()) - sum(c for _, c in largest)}")
    return ", ".join(texts)
