# SPDX-License-Identifier: Apache-2.0
"""Whose calls keep the agent busy, by policy, and of whose a policy does not tell (bpf/call_use.h).

The kernel side has maps for it only while a policy is busy.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import Dict, Optional, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.abi.layout import enum_values, struct_layout, unpacker
from tetrapy.kernel.maps import HASH, LRU_HASH, BpfMap
from tetrapy.named import NamedTuple
from tetrapy.sensors.policy.slots import Slots
from tetrapy.sensors.policy.tables import Sizes

SUBORDINATE = 65536  # uids from here on are blocks of as many

Part = Tuple[int, int]  # uid, or the first of its block, and cgroup: who has called


class Owner(NamedTuple):
    """Who stands for calls: some of uid and cgroup, the rest is 0."""

    kind: str  # of enum owner_kind in bpf/share.h
    uid: int = 0
    cgroup: int = 0  # inode number of its directory

    @property
    def uids(self) -> str:
        """`1000`, `131072-196607`, `subordinate`; empty: all others of the cgroup."""
        if self.kind == "OWNER_SUBORDINATES":
            return "subordinate"
        if self.kind == "OWNER_CGROUP":
            return ""
        block = self.uid >= SUBORDINATE
        return f"{self.uid}-{self.uid + SUBORDINATE - 1}" if block else str(self.uid)

    @property
    def cgroups(self) -> str:
        """The cgroup; empty: all."""
        return str(self.cgroup or "")

    def __str__(self) -> str:
        uids = {"": "all uids", "subordinate": "subordinate uids"}.get(self.uids)
        uids = uids or f"uid {self.uids}"
        return f"{uids} in cgroup {self.cgroup}" if self.cgroup else uids


def owner_of(part: Part) -> Owner:
    """Who stands for a part first: a uid in all cgroups; of root, who is many, it is one cgroup."""
    uid, cgroup = part
    return Owner("OWNER_UID", uid) if uid else Owner("OWNER", 0, cgroup)


def group_of(part: Part) -> Optional[Owner]:
    """Who stands for a part with others of its cgroup; root is with nobody."""
    uid, cgroup = part
    if not uid:
        return None
    kind = "OWNER_CGROUP" if uid < SUBORDINATE else "OWNER_SUBORDINATES"
    return Owner(kind, 0, cgroup)


class Uses:
    """The maps, made when they are needed."""

    def __init__(self, slots: Slots, btf: Btf) -> None:
        """`btf` is that of the programs. Raises LayoutError when it has other structures."""
        layout = struct_layout(btf, "use_key")
        self._key = unpacker(layout, ("owner.cgroup", "owner.uid", "owner.kind", "policy"))
        self._kinds = enum_values(btf, "owner_kind")
        limits = enum_values(btf, "hook_limit")
        self._sizes = {
            "uses": Sizes(self._key.size, 8, limits["USERS"]),
            "silent": Sizes(self._key.size, 8, limits["SILENT_USERS"]),
        }
        self._slots = slots
        self._fds: Dict[str, int] = {}

    def watch(self, yes: bool) -> None:
        """Add up what each owner uses, or no longer. Raises KernelError."""
        if yes:
            self._map("uses", LRU_HASH)
        else:
            self._drop("uses")

    @property
    def watches(self) -> bool:
        """Whether uses are added up."""
        return "uses" in self._fds

    def take(self) -> Dict[int, Dict[Part, int]]:
        """What was used since the last call, by policy and part: bytes. Raises KernelError."""
        found: Dict[int, Dict[Part, int]] = {}
        if not self.watches:
            return found
        uses = self._map("uses", LRU_HASH)
        # Who comes and goes meanwhile has the walk begin again.
        for key in dict.fromkeys(islice(uses, 2 * self._sizes["uses"].entries)):
            value = uses.get(key)
            if value is None:
                continue
            uses.delete(key)
            cgroup, uid, _, policy = self._key.unpack(key)
            found.setdefault(policy, {})[uid, cgroup] = int.from_bytes(value, "little")
        return found

    def silence(self, policy: int, owner: Owner) -> bool:
        """Have a policy not tell of an owner's calls; False when there are too many already.

        Raises KernelError.
        """
        return self._map("silent", HASH).put(self._packed(policy, owner), bytes(8))

    def unreported(self, policy: int, owner: Owner) -> int:
        """Calls that were not reported since then. Raises KernelError."""
        value = self._map("silent", HASH).get(self._packed(policy, owner))
        return int.from_bytes(value or b"", "little")

    def tell(self, policy: int, owner: Owner) -> None:
        """Have the policy tell of his calls again. Raises KernelError."""
        silent = self._map("silent", HASH)
        silent.delete(self._packed(policy, owner))
        if next(iter(silent), None) is None:
            self._drop("silent")

    def _packed(self, policy: int, owner: Owner) -> bytes:
        return self._key.pack(owner.cgroup, owner.uid, self._kinds[owner.kind], policy)

    def _map(self, name: str, kind: int) -> BpfMap:
        sizes = self._sizes[name]
        if name not in self._fds:
            self._fds[name] = self._slots.make_map(kind, name, sizes)
        return BpfMap(self._fds[name], sizes.key, sizes.value)

    def _drop(self, name: str) -> None:
        if name in self._fds:
            self._slots.drop_map(name)
            os.close(self._fds.pop(name))

    def close(self) -> None:
        """The programs are gone; safe to call twice."""
        while self._fds:
            os.close(self._fds.popitem()[1])
