# SPDX-License-Identifier: Apache-2.0
"""Cgroups that make more events than the settings allow (Tetragon's `cgroup-rate`; bpf/rate.h)."""

from __future__ import annotations

from typing import Dict, List, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.abi.layout import struct_layout, unpacker
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.maps import BpfMap

CGROUPS = 1024  # whose rates are remembered, the latest used
QUIET_NS = 5_000_000_000  # below the limit for so long, and a cgroup is throttled no longer


class CgroupRates:
    """Which cgroups are throttled. The kernel begins it, this side ends it."""

    def __init__(self, btf: Btf, loaded: BpfObject) -> None:
        """`loaded` is the object with the map, of which `btf` is the BTF."""
        layout = struct_layout(btf, "cgroup_rate")
        self._map = BpfMap(loaded.map_fd("cgroup_rates"), 8, layout.size)
        self._entry = unpacker(layout, ("window", "count", "over", "throttled"))
        self._throttled: Dict[int, str] = {}
        self.starts = 0
        self.stops = 0

    @property
    def any_throttled(self) -> bool:
        """Whether `ended` has to be called now and then."""
        return bool(self._throttled)

    def began(self, cgroup_id: int, name: str) -> bool:
        """Note what the kernel reported; False when it was known."""
        if cgroup_id in self._throttled:
            return False
        self._throttled[cgroup_id] = name
        self.starts += 1
        return True

    def ended(self, now: int) -> List[str]:
        """The names of cgroups that are throttled no longer; `now` in ns as records have it."""
        names = []
        for cgroup_id, name in list(self._throttled.items()):
            if self._release(cgroup_id, now):
                del self._throttled[cgroup_id]
                self.stops += 1
                names.append(name)
        return names

    def _release(self, cgroup_id: int, now: int) -> bool:
        key = cgroup_id.to_bytes(8, "little")
        value = self._map.get(key)
        if value is None:
            return True  # forgotten: its rate is counted anew
        window, count, over, throttled = self._times(value)
        if throttled and now - max(over, throttled) < QUIET_NS:
            return False
        self._map.put(key, self._entry.pack(window, count, over, 0))
        return True

    def _times(self, value: bytes) -> Tuple[int, int, int, int]:
        window, count, over, throttled = self._entry.unpack(value)
        return window, count, over, throttled
