# SPDX-License-Identifier: Apache-2.0
"""Tables and sets of policies, as maps in slots of maps that the programs of all kinds share."""

from __future__ import annotations

import errno as errnos
import os
from array import array
from struct import Struct
from typing import Callable, Dict, List, MutableSequence, Optional, Sequence, Set, Tuple

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
from tetrapy.sensors.policy.changes import Changes
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
        self._fresh_counts: List[int] = []  # blocks whose maps are not in place yet
        self._changes = Changes(self._outer)
        self._emptied: List[Tuple[MutableSequence[int], int]] = []  # free when they are empty
        # Whether sets may differ in size; None before the first one was put.
        self._sets_differ: Optional[bool] = None
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
        """The slot that the map of a hook is in after `settle`. Raises KernelError."""
        slot = self._free("hooks", self._free_hooks)
        self._changes.put("hooks", slot, fd)
        return Slot(slot, kernel_memory(fd))

    def replace_hook(self, slot: int, fd: int) -> None:
        """Another map is to be in the slot of a hook, by `settle`."""
        self._changes.put("hooks", slot, fd)

    def empty_hook(self, slot: int) -> None:
        """No call is to be looked at, by `settle`; the slot stays the hook's."""
        self._changes.drop("hooks", slot)

    @property
    def room(self) -> int:
        """How many hooks may still come."""
        return len(self._free_hooks) + sum(free is self._free_hooks for free, _ in self._emptied)

    def settle(self, alive: Callable[[], None] = lambda: None) -> None:
        """Make the changes that wait; `alive` is called meanwhile. Raises KernelError."""
        emptied, self._emptied = self._emptied, []
        fresh, self._fresh_counts = self._fresh_counts, []
        try:
            self._changes.make(alive)
        except KernelError:
            for block in fresh:  # the next hook there tries again
                os.close(self._counts.pop(block))
            raise
        for free, slot in emptied:
            free.insert(0, slot)  # used again last: a call may still be under way

    def _free(self, name: str, free: MutableSequence[int]) -> int:
        if not free:
            self.settle()
        if not free:
            raise KernelError(f"no room for more {name} of policies")
        return free.pop()

    def monitor(self, policy: int, only: bool) -> None:
        """Have all hooks of a policy act on nobody, or act: at once. Raises KernelError."""
        if only:
            put(self._outer("monitors"), _SLOT.pack(policy), _SLOT.pack(1))
        else:
            drop(self._outer("monitors"), _SLOT.pack(policy))

    def start_counts(self, slot: int) -> None:
        """Have a hook's slot count, from 0 and whichever table is in it, by `settle`.

        Raises KernelError.
        """
        block, place = divmod(slot, self._writer.limits["HOOK_BLOCK"])
        counters = self._writer.counts.counters
        fd = self._counts.get(block)
        if fd is not None:
            clear_row(fd, place, counters)
            return
        # Many hooks have one: at each change of a map of maps the kernel waits for all programs.
        sizes = _SLOT.size, counters * COUNTER_BYTES
        fd = create_map(PERCPU_ARRAY, "policy_counts", sizes, self._writer.limits["HOOK_BLOCK"])
        self._counts[block] = fd
        self._fresh_counts.append(block)
        self._changes.put("hook_counts", block, fd)

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
        return [self._free("sets", self._free_sets) for _ in range(count)]

    def fill_set(self, slot: int, members: Sequence[Prefix], marks: Sequence[int]) -> None:
        """Put a set into a reserved slot, in place of what was there. Raises KernelError."""
        self._put_set_now(members, marks, slot)

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

    def put_set(self, members: Sequence[Prefix], marks: Sequence[int] = ()) -> Slot:
        """The slot that a set is in after `settle`; `marks` are what its members say.

        Raises KernelError.
        """
        slot = self._free("sets", self._free_sets)
        try:
            if self._sets_differ is None:
                return Slot(slot, self._put_set_now(members, marks, slot))
            entries = len(members) if self._sets_differ else self._most_members
            fd = self._make_set(members, marks, entries)
        except BaseException:
            self._free_sets.append(slot)
            raise
        try:
            self._changes.put("sets", slot, fd)
            return Slot(slot, kernel_memory(fd))
        finally:
            os.close(fd)

    def _put_set_now(self, members: Sequence[Prefix], marks: Sequence[int], slot: int) -> int:
        """Its bytes in the kernel. Raises KernelError."""
        if self._sets_differ is not False:
            try:
                size = self._replace_set(self._make_set(members, marks, len(members)), slot)
            except KernelError as err:
                if err.errno != errnos.EINVAL:
                    raise
                self._sets_differ = False  # before Linux 5.10 all maps of a slot are alike in size
            else:
                self._sets_differ = True
                return size
        return self._replace_set(self._make_set(members, marks, self._most_members), slot)

    def _replace_set(self, fd: int, slot: int) -> int:
        try:
            put(self._outer("sets"), _SLOT.pack(slot), _FD.pack(fd))
            return kernel_memory(fd)
        finally:
            os.close(fd)

    @property
    def _most_members(self) -> int:
        return self._writer.limits["SET_MEMBERS"]

    def _make_set(self, members: Sequence[Prefix], marks: Sequence[int], entries: int) -> int:
        """A file descriptor, the caller's. Raises KernelError."""
        size = self._writer.set_key
        fd = create_map(LPM_TRIE, "policy_set", (size, _MEMBER.size), entries, NO_PREALLOC)
        try:
            for (bits, data), says in zip(members, marks or [1] * len(members)):
                put(fd, (_SLOT.pack(bits) + data).ljust(size, b"\0"), _MEMBER.pack(says))
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _outer(self, name: str) -> int:
        assert self.owner is not None  # programs are loaded before tables are made
        return self.owner.map_fd(name)

    def give_back(self, hooks: Sequence[int], sets: Sequence[int]) -> None:
        """Other policies may take these slots of `hooks` and of `sets`, from `settle` on."""
        for outer, free, slots in (
            ("hooks", self._free_hooks, hooks),
            ("sets", self._free_sets, sets),
        ):
            for slot in slots:
                self._changes.drop(outer, slot)
                self._emptied.append((free, slot))
