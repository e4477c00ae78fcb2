# SPDX-License-Identifier: Apache-2.0
"""Tables and sets of policies, as maps in slots of maps that the programs of all kinds share."""

from __future__ import annotations

import errno as errnos
import os
from array import array
from struct import Struct
from typing import Dict, List, MutableSequence, Optional, Sequence, Set, Tuple

from tetrapy.errors import KernelError
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.fdinfo import kernel_memory
from tetrapy.kernel.maps import (
    ARRAY,
    COUNTER_BYTES,
    HASH,
    LPM_TRIE,
    LRU_HASH,
    NO_PREALLOC,
    PERCPU_ARRAY,
    clear_row,
    create_map,
    drop,
    put,
    read_row,
)
from tetrapy.named import NamedTuple
from tetrapy.sensors.policy.counts import HookCounts
from tetrapy.sensors.policy.tables import HookTable, HookWriter, Prefix, Sizes
from tetrapy.sensors.policy.threads import Threads

_SLOT = Struct("=I")
_FD = Struct("=I")
_MEMBER = Struct("=Q")


class Slot(NamedTuple):
    """An element of a map of maps, which has a map of its own."""

    number: int
    kernel_memory: int  # bytes


class Slots:
    """What is free of the maps of maps, and what is put into them."""

    def __init__(self, writer: HookWriter) -> None:
        self._writer = writer
        self.owner: Optional[BpfObject] = None  # has those maps; there is one before the first use
        self._made: Set[str] = set()
        self.threads: Dict[str, Threads] = {}  # by name of the map
        self._counts: Dict[int, int] = {}  # file descriptors of maps of counters, by block
        self._sets_differ = True  # in size, as far as is known
        self._free_hooks = array("I", range(writer.limits["HOOK_SLOTS"] - 1, 0, -1))
        self._free_sets = array("I", range(writer.limits["HOOK_SETS"] - 1, 0, -1))

    def make_hook(self, data: bytes) -> int:
        """A hook's table as a map, whose file descriptor is the caller's. Raises KernelError."""
        fd = create_map(ARRAY, "policy_hook", (_SLOT.size, len(data)), 1)
        try:
            put(fd, _SLOT.pack(0), data)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def put_made_hook(self, fd: int) -> Slot:
        """Put the map of a hook into a slot. Raises KernelError."""
        return self._placed("hooks", self._free_hooks, fd, [])

    def replace_hook(self, slot: int, fd: int) -> None:
        """Put another map into the slot of a hook. Raises KernelError."""
        put(self._outer("hooks"), _SLOT.pack(slot), _FD.pack(fd))

    def empty_hook(self, slot: int) -> None:
        """Have no call looked at; the slot stays the hook's. Raises KernelError."""
        drop(self._outer("hooks"), _SLOT.pack(slot))

    def monitor(self, policy: int, only: bool) -> None:
        """Have all hooks of a policy act on nobody, or act: at once. Raises KernelError."""
        if only:
            put(self._outer("monitors"), _SLOT.pack(policy), _SLOT.pack(1))
        else:
            drop(self._outer("monitors"), _SLOT.pack(policy))

    def start_counts(self, slot: int) -> None:
        """Have a hook's slot count, from 0 and whichever table is in it. Raises KernelError."""
        block, place = divmod(slot, self._writer.limits["HOOK_BLOCK"])
        counters = self._writer.counts.counters
        fd = self._counts.get(block)
        if fd is not None:
            clear_row(fd, place, counters)
            return
        # Many hooks have one: at each change of a map of maps the kernel waits for all programs.
        sizes = _SLOT.size, counters * COUNTER_BYTES
        fd = create_map(PERCPU_ARRAY, "policy_counts", sizes, self._writer.limits["HOOK_BLOCK"])
        try:
            put(self._outer("hook_counts"), _SLOT.pack(block), _FD.pack(fd))
        except BaseException:
            os.close(fd)
            raise
        self._counts[block] = fd

    def counts(self, slot: int) -> HookCounts:
        """What was counted there since then, on all CPUs. Raises KernelError."""
        block, place = divmod(slot, self._writer.limits["HOOK_BLOCK"])
        layout = self._writer.counts
        return layout.read(read_row(self._counts[block], place, layout.counters))

    def close(self) -> None:
        """No hook is left; safe to call twice."""
        while self._counts:
            os.close(self._counts.popitem()[1])
        while self.threads:
            self.threads.popitem()[1].close()

    def make_maps(self, table: HookTable) -> None:
        """The maps that only some hooks need, at the first of them. Raises KernelError."""
        writer = self._writer
        flags = writer.action_flags
        leaves = flags["ACTION_NOTIFY"] | flags["ACTION_OVERRIDE_LATER"]
        for kind, name, sizes, used in (
            (LRU_HASH, "rates", writer.rates, any(action.interval for action in table.actions)),
            (ARRAY, "tracked", writer.tracked, table.tracks),
        ):
            if used and name not in self._made:
                os.close(self.make_map(kind, name, sizes))
                self._made.add(name)
        if any(action.flags & leaves for action in table.actions):
            self._make_shared("enforcements", "enforcement_counts", writer.enforcements)
        hashes = any(action.flags & flags["ACTION_HASH"] for action in table.actions)
        if table.reports_return or hashes:
            self._make_shared("returning", "return_counts", writer.returning)

    def _make_shared(self, name: str, counts_name: str, sizes: Sizes) -> None:
        """A map of threads, of which each owner has a share, unless it is there."""
        if name in self.threads:
            return
        counts = self.make_map(ARRAY, counts_name, self._writer.share_counts)
        try:
            entries = self.make_map(HASH, name, sizes)
        except BaseException:
            os.close(counts)
            raise
        self.threads[name] = Threads(counts, entries, sizes, self._writer.limits)

    def make_map(self, kind: int, name: str, sizes: Sizes, flags: int = 0) -> int:
        """The file descriptor of a new map in its place, the caller's. Raises KernelError."""
        fd = create_map(kind, f"policy_{name}", (sizes.key, sizes.value), sizes.entries, flags)
        try:
            put(self._outer(name), _SLOT.pack(0), _FD.pack(fd))
        except BaseException:
            os.close(fd)
            raise
        return fd

    def reserve_sets(self, count: int) -> List[int]:
        """Slots of sets that are empty for now, to be given back. Raises KernelError."""
        if len(self._free_sets) < count:
            raise KernelError("no room for more sets of policies")
        return [self._free_sets.pop() for _ in range(count)]

    def fill_set(self, slot: int, members: Sequence[Prefix], marks: Sequence[int]) -> None:
        """Put a set into a reserved slot, in place of what was there. Raises KernelError."""
        placed = self.put_set(members, marks, slot)
        assert placed.number == slot

    def drop_map(self, name: str) -> None:
        """Have no map in its place any more. Raises KernelError."""
        drop(self._outer(name), _SLOT.pack(0))

    def make_images(self) -> int:
        """The file descriptor of a new map of images, the caller's. Raises KernelError."""
        os.close(self.make_map(ARRAY, "image_counts", self._writer.image_counts))
        return self.make_map(HASH, "images", self._writer.images)

    def make_workloads(self) -> int:
        """The file descriptor of a new map of workloads, the caller's. Raises KernelError."""
        return self.make_map(HASH, "workloads", self._writer.workloads, NO_PREALLOC)

    def put_set(self, members: Sequence[Prefix], marks: Sequence[int] = (), slot: int = 0) -> Slot:
        """Put a set into the kernel; `marks` are what its members say. Raises KernelError.

        It gets a free slot, or the one that is named.
        """
        if self._sets_differ:
            try:
                return self._put_set(members, marks, slot, len(members))
            except KernelError as err:
                if err.errno != errnos.EINVAL:
                    raise
                self._sets_differ = False  # before Linux 5.10 all maps of a slot are alike in size
        return self._put_set(members, marks, slot, self._writer.limits["SET_MEMBERS"])

    def _put_set(
        self, members: Sequence[Prefix], marks: Sequence[int], slot: int, entries: int
    ) -> Slot:
        size = self._writer.set_key
        fd = create_map(LPM_TRIE, "policy_set", (size, _MEMBER.size), entries, NO_PREALLOC)
        rows = [
            ((_SLOT.pack(bits) + data).ljust(size, b"\0"), _MEMBER.pack(says))
            for (bits, data), says in zip(members, marks or [1] * len(members))
        ]
        try:
            return self._placed("sets", [slot] if slot else self._free_sets, fd, rows)
        finally:
            os.close(fd)  # see above

    def _placed(
        self, outer: str, free: MutableSequence[int], fd: int, rows: List[Tuple[bytes, bytes]]
    ) -> Slot:
        for key, value in rows:
            put(fd, key, value)
        if not free:
            raise KernelError(f"no room for more {outer} of policies")
        put(self._outer(outer), _SLOT.pack(free[-1]), _FD.pack(fd))
        return Slot(free.pop(), kernel_memory(fd))

    def _outer(self, name: str) -> int:
        assert self.owner is not None  # programs are loaded before tables are made
        return self.owner.map_fd(name)

    def give_back(self, hooks: Sequence[int], sets: Sequence[int]) -> None:
        """Empty slots of `hooks` and of `sets`, so that other policies may take them."""
        for outer, free, slots in (
            ("hooks", self._free_hooks, hooks),
            ("sets", self._free_sets, sets),
        ):
            for slot in slots:
                drop(self._outer(outer), _SLOT.pack(slot))
                free.insert(0, slot)  # used again last: a call may still be under way
