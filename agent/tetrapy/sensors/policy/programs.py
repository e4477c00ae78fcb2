# SPDX-License-Identifier: Apache-2.0
"""The programs that hooks of policies run: loaded once for each type, attached many times."""

from __future__ import annotations

import errno as errnos
import os
from struct import Struct
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.abi.elf import section_data
from tetrapy.abi.layout import enum_values, rodata_offsets
from tetrapy.errors import KernelError
from tetrapy.kernel import bundle, features, links
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.fdinfo import kernel_memory
from tetrapy.kernel.maps import (
    ARRAY,
    LPM_TRIE,
    LRU_HASH,
    NO_PREALLOC,
    create_map,
    drop,
    put,
    write_u32,
)
from tetrapy.named import NamedTuple
from tetrapy.sensors.base_handler import BaseHandler
from tetrapy.sensors.policy.handler import CallHandler
from tetrapy.sensors.policy.hook import RAW_TRACEPOINT, TRACEPOINT, UPROBE, Hooks
from tetrapy.sensors.policy.place import FAMILIES, FAMILY_NAMES, Place
from tetrapy.sensors.policy.tables import HookTable, HookWriter, Prefix, Sizes

RING_OBJECT = "bpf/policy.bpf.o"
PERF_OBJECT = "bpf/policy-perf.bpf.o"

_SYSCALL = 1 << 31  # COOKIE_SYSCALL of bpf/hook.h
_MACHINES = {"x86_64": 0, "aarch64": 1}  # enum machine of bpf/call_kprobe.bpf.c
_SLOT = Struct("=I")
_FD = Struct("=I")
_MEMBER = Struct("=I")


_FIXED = "_fixed"  # behind the name of a program that goes by the constant

# Maps of the base object that the programs use too, and those that all instances have in common.
_BASE_MAPS = ("events", "losses", "owner_losses", "shares", "processes", "counters", ".bss")
_COMMON_MAPS = ("hooks", "sets", "returning", "rates")


Attach = Callable[[], links.Link]


class Slot(NamedTuple):
    """An element of a map of maps, which has a map of its own."""

    number: int
    kernel_memory: int  # bytes


class Programs:
    """Everything of policies that is in the kernel."""

    def __init__(
        self,
        base: BpfObject,
        base_constants: Mapping[str, bytes],
        btf_path: Optional[str],
        use_ring: bool = True,
    ) -> None:
        """`base` is the loaded base object, `base_constants` those of its constants that count."""
        self._data = bundle.read(RING_OBJECT if use_ring else PERF_OBJECT)
        self._btf = Btf(section_data(self._data, ".BTF"))
        self._base = base
        self._constants = base_constants
        self._btf_path = btf_path
        self.writer = HookWriter(self._btf)
        self._steps = enum_values(self._btf, "call_step")
        self._variables = rodata_offsets(self._btf)
        self._objects: Dict[str, BpfObject] = {}  # by kind of hook: told by their links' cookies
        self._first: Optional[BpfObject] = None
        self._has_cookies: Optional[bool] = None
        self._tracepoints: Set[Tuple[str, ...]] = set()  # where the common instance is attached
        self._made: Set[str] = set()
        self._sets_differ = True  # in size, as far as is known
        self._free_hooks = list(range(self.writer.limits["HOOK_SLOTS"] - 1, 0, -1))
        self._free_sets = list(range(self.writer.limits["HOOK_SETS"] - 1, 0, -1))

    def prepare(self, table: HookTable, places: Sequence[Place]) -> AttachedHook:
        """Put a table into the kernel, and load the programs that go by it; `attach` is the rest.

        That takes a thousand times as long as to attach them, and nothing happens at the hook yet.
        Raises KernelError, with everything taken back.
        """
        attached = AttachedHook(self)
        try:
            if self._first is None:
                self._object(places[0].kind)
            slot = attached.put_table(table)
            for place in places:
                attached.attachments.append(self._prepare(place, slot, attached))
        except BaseException:
            attached.close()
            raise
        return attached

    def _prepare(self, place: Place, slot: int, attached: AttachedHook) -> Attach:
        family = FAMILIES[place.kind]
        program = family.entries[1 if place.is_return else 0]
        cookie = slot << 32 | place.number | (_SYSCALL if place.is_syscall else 0)
        if self._is_common(place, attached):
            loaded = self._object(place.kind)
        else:
            constants = {family.cookie: cookie, "raw_arguments": place.arguments}
            # Before Linux 6.10 the link of a raw tracepoint has no number.
            program += "" if place.kind == RAW_TRACEPOINT else _FIXED
            loaded = self._load(place.kind, constants, (program,))
            attached.objects.append(loaded)
            attached.kernel_memory += loaded.kernel_memory()
            cookie = 0  # which a kernel without cookies refuses
        if place.kind == RAW_TRACEPOINT:
            return lambda: links.attach_raw_tracepoint(loaded, program, place.target[-1])
        if place.kind == TRACEPOINT:
            name = "/".join(place.target)
            return lambda: links.attach_tracepoint(loaded, program, name, place.tracepoint, cookie)
        if place.kind == UPROBE:
            return lambda: links.attach_uprobe(
                loaded,
                program,
                place.target[0],
                place.offset,
                cookie,
                place.is_return,
                place.reference_counter,
            )
        return lambda: links.attach_kprobe(
            loaded, program, place.target[0], cookie, place.is_return
        )

    def _is_common(self, place: Place, attached: AttachedHook) -> bool:
        """Whether the common instance can be attached there, told by a cookie which hook it is."""
        if not self._cookies or place.kind == RAW_TRACEPOINT:
            return False
        if place.kind == TRACEPOINT:  # takes a program only once
            if place.target in self._tracepoints:
                return False
            self._tracepoints.add(place.target)
            attached.tracepoints.append(place.target)
        return True

    @property
    def _cookies(self) -> bool:
        """Whether one program can be attached many times and be told by its links apart."""
        if self._has_cookies is None:
            self._has_cookies = features.ATTACH_COOKIE.is_there
        return self._has_cookies

    def _object(self, kind: str) -> BpfObject:
        found = self._objects.get(kind)
        if found is None:
            found = self._objects[kind] = self._load(kind, {}, ())
        return found

    def _load(self, kind: str, constants: Mapping[str, int], entries: Sequence[str]) -> BpfObject:
        """An instance of the programs of a kind; without `entries` all that go by cookies."""
        family = FAMILIES[kind]
        loaded = BpfObject(self._data, "policy", self._btf_path)
        try:
            if not entries and self._cookies and kind != RAW_TRACEPOINT:
                entries = family.entries
            steps = {
                name: f"{family.name}_{name[len('STEP_') :].lower()}"
                for name in self._steps
                if name != "CALL_STEPS"
            }
            for program in (*entries, *steps.values()):
                loaded.ask_for(program)
            loaded.share_maps(self._base, _BASE_MAPS)
            for other in FAMILY_NAMES - {family.name}:
                loaded.leave_out(f"{other}_calls")
                loaded.leave_out(f"{other}_steps")
            loaded.set_max_entries(f"{family.name}_calls", family.calls)
            if self._first is not None:
                loaded.share_maps(self._first, _COMMON_MAPS)
            values = {
                name: value.to_bytes(self._variables[name][1], "little")
                for name, value in constants.items()
            }
            values.update(self._constants)
            values["machine"] = _MACHINES[os.uname().machine].to_bytes(4, "little")
            for name, value in values.items():
                if name in self._variables:
                    loaded.set_constant(".rodata", self._variables[name][0], value)
            loaded.load()
            fds = loaded.program_fds()
            array = loaded.map_fd(f"{family.name}_steps")
            for name, program in steps.items():
                write_u32(array, self._steps[name], fds[program])
        except BaseException:
            loaded.close()
            raise
        if self._first is None:
            self._first = loaded
        return loaded

    def handler(self, base: BaseHandler, hooks: Hooks) -> CallHandler:
        """Who decodes the records of these programs, beside those of the base sensor."""
        return CallHandler(self._btf, base, hooks, hooks.ancestors)

    def close(self) -> None:
        """Give all programs back."""
        for loaded in self._objects.values():
            loaded.close()
        self._objects.clear()

    # --- slots ------------------------------------------------------------------------------

    def put_hook(self, data: bytes) -> Slot:
        """Put a hook's table into the kernel. Raises KernelError."""
        fd = create_map(ARRAY, "policy_hook", (_SLOT.size, len(data)), 1)
        return self._placed("hooks", self._free_hooks, fd, [(_SLOT.pack(0), data)])

    def make_maps(self, table: HookTable) -> None:
        """The maps that only some hooks need, at the first of them. Raises KernelError."""
        for name, sizes, used in (
            ("returning", self.writer.returning, table.reports_return),
            ("rates", self.writer.rates, any(action.interval for action in table.actions)),
        ):
            if used and name not in self._made:
                self._make_map(name, sizes)
                self._made.add(name)

    def _make_map(self, name: str, sizes: Sizes) -> None:
        fd = create_map(LRU_HASH, f"policy_{name}", (sizes.key, sizes.value), sizes.entries)
        try:
            put(self._outer(name), _SLOT.pack(0), _FD.pack(fd))
        finally:
            os.close(fd)

    def put_set(self, members: Tuple[Prefix, ...]) -> Slot:
        """Put a set into the kernel. Raises KernelError."""
        if self._sets_differ:
            try:
                return self._put_set(members, len(members))
            except KernelError as err:
                if err.errno != errnos.EINVAL:
                    raise
                self._sets_differ = False  # before Linux 5.10 all maps of a slot are alike in size
        return self._put_set(members, self.writer.limits["SET_MEMBERS"])

    def _put_set(self, members: Tuple[Prefix, ...], entries: int) -> Slot:
        size = self.writer.set_key
        fd = create_map(LPM_TRIE, "policy_set", (size, _MEMBER.size), entries, NO_PREALLOC)
        rows = [
            ((_SLOT.pack(bits) + data).ljust(size, b"\0"), _MEMBER.pack(1))
            for bits, data in members
        ]
        return self._placed("sets", self._free_sets, fd, rows)

    def _placed(
        self, outer: str, free: List[int], fd: int, rows: List[Tuple[bytes, bytes]]
    ) -> Slot:
        try:
            for key, value in rows:
                put(fd, key, value)
            if not free:
                raise KernelError(f"no room for more {outer} of policies")
            put(self._outer(outer), _SLOT.pack(free[-1]), _FD.pack(fd))
            return Slot(free.pop(), kernel_memory(fd))
        finally:
            os.close(fd)  # the kernel keeps what is in a slot

    def _outer(self, name: str) -> int:
        assert self._first is not None  # programs are loaded before tables are made
        return self._first.map_fd(name)

    def give_back(
        self, hooks: List[int], sets: List[int], tracepoints: List[Tuple[str, ...]]
    ) -> None:
        """Empty slots; nothing is attached to those tracepoints any more."""
        self._tracepoints.difference_update(tracepoints)
        for outer, free, slots in (
            ("hooks", self._free_hooks, hooks),
            ("sets", self._free_sets, sets),
        ):
            for slot in slots:
                drop(self._outer(outer), _SLOT.pack(slot))
                free.append(slot)


class AttachedHook:
    """A hook whose table and programs are in the kernel; `close` takes it out."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._hooks: List[int] = []
        self._sets: List[int] = []
        self.attachments: List[Attach] = []  # that are still to be done
        self.links: List[links.Link] = []
        self.objects: List[BpfObject] = []
        self.tracepoints: List[Tuple[str, ...]] = []
        self.kernel_memory = 0  # bytes of what only this hook has

    def attach(self) -> None:
        """Have the programs run. Raises KernelError; what is attached then goes with `close`."""
        while self.attachments:
            self.links.append(self.attachments.pop(0)())

    def put_table(self, table: HookTable) -> int:
        """The slot of the table. Raises KernelError."""
        for one in table.plain + table.texts + table.returns:
            if one.members:
                self._sets.append(self._counted(self._programs.put_set(one.members)))
        self._programs.make_maps(table)
        data = self._programs.writer.written(table, self._sets)
        slot = self._counted(self._programs.put_hook(data))
        self._hooks.append(slot)
        return slot

    def _counted(self, slot: Slot) -> int:
        self.kernel_memory += slot.kernel_memory
        return slot.number

    def detach(self) -> None:
        """Stop the programs; safe to call twice."""
        for link in self.links:
            link.close()
        self.attachments, self.links = [], []

    def close(self) -> None:
        """Detach, then forget the table."""
        self.detach()
        for loaded in self.objects:
            loaded.close()
        self._programs.give_back(self._hooks, self._sets, self.tracepoints)
        self.objects, self.tracepoints = [], []
        self._hooks, self._sets = [], []
