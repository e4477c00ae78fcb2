# SPDX-License-Identifier: Apache-2.0
"""The programs that hooks of policies run: loaded once for each type, attached many times."""

from __future__ import annotations

import os
from functools import partial
from typing import AbstractSet, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from tetrapy.abi.layout import enum_values
from tetrapy.errors import PolicyUnsupportedError
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.maps import write_u32
from tetrapy.kernel.programs import ProgramInfo, program_info
from tetrapy.sensors.base_handler import BaseHandler
from tetrapy.sensors.policy import enforcing
from tetrapy.sensors.policy.assignments import constants_of
from tetrapy.sensors.policy.attached import AttachedHook
from tetrapy.sensors.policy.attachment import FIXED, TRAMPOLINES, Attach, aim, attachment
from tetrapy.sensors.policy.exits import Functions, Taken, attachment_of, steps_at_return
from tetrapy.sensors.policy.handler import CallHandler
from tetrapy.sensors.policy.hook import KPROBE, LSM, TRACEPOINT, UPROBE, Hooks
from tetrapy.sensors.policy.link_kinds import LinkKinds
from tetrapy.sensors.policy.objects import BASE_MAPS, COMMON_MAPS, PERF_OBJECT, RING_OBJECT
from tetrapy.sensors.policy.packed_object import PackedObject
from tetrapy.sensors.policy.place import FAMILIES, FAMILY_NAMES, Place
from tetrapy.sensors.policy.simple import is_simple
from tetrapy.sensors.policy.slots import Slots
from tetrapy.sensors.policy.tables import HookTable, HookWriter
from tetrapy.sensors.policy.together import caller, with_groups
from tetrapy.sensors.policy.uses import Uses
from tetrapy.sensors.policy.workloads import Workloads

_SYSCALL = 1 << 31  # COOKIE_SYSCALL of bpf/hook.h
_OVERRIDE = 1 << 31  # ENFORCES_OVERRIDE of bpf/hook_action.h
_FIXED = "_fixed"  # behind the name of a program that goes by the constant
_MAP_OWNERS = FAMILY_NAMES | {"lineage"}
# Of enum call_step; the others are loaded for hooks that need them.
_DEEP = "STEP_PATH_DEEP"
_COMMON_STEPS = frozenset({"STEP_VALUES", "STEP_PATH", _DEEP, "STEP_MATCH"})


class Programs:
    """Everything of policies that is in the kernel."""

    def __init__(
        self,
        base: BpfObject,
        base_constants: Mapping[str, bytes],
        btf_path: Optional[str],
        use_ring: bool = True,
        kernel_functions: Optional[Dict[int, int]] = None,
    ) -> None:
        """`base` is the loaded base object, `base_constants` those of its constants that count.

        `kernel_functions` keep a task from being preempted (kernel/kfuncs.py).
        """
        self._uses_ring = use_ring
        name = RING_OBJECT if use_ring else PERF_OBJECT
        self._object_file = PackedObject(name, btf_path, kernel_functions or {}, base_constants)
        self._btf = self._object_file.btf
        self._base = base
        self._loops = "on_exec_loop" in base.program_fds()  # the kernel took functions there
        self._gates = any(base_constants.get("gates", b""))
        self.writer = HookWriter(self._btf)
        self._steps = enum_values(self._btf, "call_step")
        self._objects: Dict[str, BpfObject] = {}  # by kind of hook: links have cookies
        self._whole: Dict[str, BpfObject] = {}  # ... what is attached for hooks not simple
        self._more: List[BpfObject] = []  # with steps that were added to those
        self._added: Dict[str, Set[str]] = {}  # ... by kind of hook
        self._first: Optional[BpfObject] = None
        self._entries: Dict[str, List[int]] = {}  # by kind: the attached ones' file descriptors
        self._calls: Dict[str, int] = {}  # by kind of hook: where calls are put together
        self.link_kinds = LinkKinds()
        self._tracepoints: Set[Tuple[str, ...]] = set()  # where the common instance is attached
        self.slots = Slots(self.writer)
        self.uses = Uses(self.slots, self._btf)
        self.workloads = Workloads(self.slots, self.writer)
        self._functions = Functions()
        self._policies = 0  # numbers that were given
        self.alive: Callable[[], None] = lambda: None  # called for each object: it is verified

    def prepare(self, table: HookTable, places: Sequence[Place]) -> AttachedHook:
        """Put a table into the kernel, and load the programs that go by it; `attach` is the rest.

        That takes a thousand times as long as to attach them, and nothing happens at the hook yet.
        Raises KernelError, with everything taken back.
        """
        attached = AttachedHook(self)
        places = with_groups(places)
        try:
            if self._first is None:
                self._object(places[0].kind, is_simple(table, self.writer))
            slot = attached.put_table(table)
            enforcing = [place for place in places if place.enforces]
            self._enforce(attached, enforcing, table.policy | _OVERRIDE)
            prepare = partial(self._prepare, slot=slot, attached=attached, table=table)
            for place in places:
                if not place.enforces:
                    attached.add(attachment_of(place, prepare, self._functions, attached))
        except BaseException:
            attached.close()
            raise
        return attached

    def new_policy(self) -> int:
        """A number for a policy, which none had before."""
        self._policies += 1
        return self._policies

    def prepare_enforcer(self, policy: int, places: Sequence[Place]) -> AttachedHook:
        """Load programs at functions, for what awaits threads there; as `prepare`."""
        attached = AttachedHook(self)
        try:
            if self._first is None:
                self._object(places[0].kind)
            self._enforce(attached, places, policy)
            loaded = self.load_raw(tuple(enforcing.FOLLOWING), {"notifying_policy": policy})
            enforcing.follow(attached, loaded)
        except BaseException:
            attached.close()
            raise
        return attached

    def _enforce(self, attached: AttachedHook, places: Sequence[Place], policy: int) -> None:
        """Load what does at functions what `policy` left for threads. Raises KernelError."""
        instances: Dict[object, BpfObject] = {}
        for place in places:
            program, constant = enforcing.PROGRAMS[place.kind]
            # Those at trampolines are for one function; where others go on depends on the place.
            of = place if place.kind in TRAMPOLINES else (place.kind, place.assignments)
            if place.kind == KPROBE:
                self._functions.override(place.target[0], attached.taken)
            if of not in instances:
                constants = {constant: policy, **constants_of(place.assignments, self._btf)}
                instances[of] = self._load(place.kind, constants, (program,), frozenset(), place)
                attached.own(place, instances[of], program)
            attach = attachment(instances[of], program, place, 0, attached.opened)
            attached.attachments.append(attach)

    def _prepare(self, place: Place, slot: int, attached: AttachedHook, table: HookTable) -> Attach:
        if place.hashes and not self._uses_ring:
            raise PolicyUnsupportedError(
                "imaHash needs the ring buffer, and this agent reads perf buffers, which programs"
                " that may sleep cannot write to: leave --use-perf-ring-buffer out"
            )
        family = FAMILIES[place.kind]
        program = family.entries[2 if place.hashes else int(place.is_return)]
        cookie = slot << 32 | place.number | (_SYSCALL if place.is_syscall else 0)
        common = None
        simple = is_simple(table, self.writer)
        if place.kind not in TRAMPOLINES:
            common = self._object(place.kind, simple)
            self._add_steps(place.kind, common, table.steps)
        if common is not None and self._is_common(place, attached):
            loaded = common if simple else self._whole_of(place.kind, common)
        else:
            constants = {
                family.cookie: cookie,
                **dict.fromkeys(("raw_arguments", "trampoline_arguments"), place.arguments),
                "gives_verdict": int(place.gives_verdict and not place.is_return),
                "verdict_is_error": int(place.kind == LSM),
                "hashes_binprm": int(place.target[0].startswith("bprm_")),
                "simple_hooks": int(simple),
            }
            # Before Linux 6.10 the link of a raw tracepoint has no number.
            program += "" if place.kind in FIXED else _FIXED
            # The steps of the common instance serve; those of a trampoline are for its function.
            needed = frozenset() if common or place.hashes else self._needed(place, table)
            loaded = self._load(place.kind, constants, (program,), needed, place, common)
            attached.own(place, loaded, program)
            if common is None:  # an array of programs is emptied when nobody holds it
                attached.arrays.append(attached.keep(loaded.map_fd(f"{family.name}_steps")))
            cookie = 0  # which a kernel without cookies refuses
        if common is not None:
            attached.arrays.append(common.map_fd(f"{family.name}_steps"))
        return attachment(loaded, program, place, cookie, attached.opened)

    def _needed(self, place: Place, table: HookTable) -> AbstractSet[str]:
        """The steps that a call takes there, of an instance for this place."""
        if place.is_return:
            return steps_at_return(table, self.writer)
        return _COMMON_STEPS | table.steps

    def settled(self) -> None:
        """Nothing is loaded for now: give back what only loading takes."""
        self._object_file.settle()

    def _is_common(self, place: Place, attached: AttachedHook) -> bool:
        """Whether the common instance can be attached there: its cookie says which hook it is."""
        if not self.link_kinds.cookies or place.kind in FIXED:
            return False
        if place.kind == TRACEPOINT:  # takes a program only once
            if place.target in self._tracepoints:
                return False
            self._tracepoints.add(place.target)
            attached.tracepoints.append(place.target)
        return True

    def _object(self, kind: str, simple: bool = False) -> BpfObject:
        """The programs that hooks of a kind have in common; `simple` is the first of them."""
        found = self._objects.get(kind)
        if found is None:
            identified = self.link_kinds.cookies and kind not in FIXED
            entries = FAMILIES[kind].entries if identified else ()
            # Of trampolines only the maps: there are no programs but for a function.
            steps = frozenset() if kind in TRAMPOLINES else _COMMON_STEPS
            # A call that begins again does so with one of these, whichever hook it is of.
            simple = simple and not self._gates
            found = self._load(kind, {"simple_hooks": int(simple)}, entries, steps)
            self._objects[kind] = found
            self._entries[kind] = [found.program_fds()[name] for name in entries]
            if not simple:
                self._whole[kind] = found
        return found

    def _whole_of(self, kind: str, common: BpfObject) -> BpfObject:
        """Those that serve any hook."""
        found = self._whole.get(kind)
        if found is None:
            entries = FAMILIES[kind].entries
            found = self._whole[kind] = self._load(kind, {}, entries, frozenset(), to=common)
            self._more.append(found)
            self._entries[kind] += [found.program_fds()[name] for name in entries]
        return found

    def _add_steps(self, kind: str, to: BpfObject, steps: AbstractSet[str]) -> None:
        """Load steps that no hook of this kind has needed before."""
        missing = steps - self._added.setdefault(kind, set())
        if not missing:
            return
        self._more.append(self._load(kind, {}, (), missing, to=to))
        self._added[kind] |= missing

    def _load(
        self,
        kind: str,
        constants: Mapping[str, int],
        entries: Sequence[str],
        steps: AbstractSet[str],
        place: Optional[Place] = None,
        to: Optional[BpfObject] = None,
    ) -> BpfObject:
        """An instance of programs of a kind; or, with `to`, more steps of that instance.

        `place` is where they will be attached, if that is one place.
        """
        self.alive()
        family = FAMILIES[kind]
        loaded = self._object_file.open({**constants, f"{family.name}_places": family.calls})
        try:
            programs = {name: f"{family.name}_{self._named(name)}" for name in steps}
            if to is None and family.entries[0] in entries:
                programs["STEP_BEGIN"] = family.entries[0]
            for program in {*entries, *programs.values()}:
                loaded.ask_for(program)
                if place is not None and kind in TRAMPOLINES:
                    loaded.aim(program, aim(place), place.target[0])
            attach_type = self.link_kinds.attach_type(kind)
            if attach_type:
                loaded.use_attach_type(attach_type)
            self._share(loaded, family.name)
            calls, array = f"{family.name}_calls", f"{family.name}_steps"
            loaded.set_max_entries(calls, family.calls)
            if caller(kind) in self._calls:
                loaded.share_map(calls, self._calls[caller(kind)])
            if to is not None:
                loaded.share_maps(to, (array,))
            loaded.load()
            fds = loaded.program_fds()
            for name, program in programs.items():
                write_u32(loaded.map_fd(array), self._steps[name], fds[program])
        except BaseException:
            loaded.close()
            raise
        if place is None and kind != UPROBE:  # all of a uprobe libbpf attaches
            loaded.settle()
        self._first = self.slots.owner = self._first or loaded
        if caller(kind) not in self._calls:
            self._calls[caller(kind)] = os.dup(loaded.map_fd(calls))
        return loaded

    def _named(self, step: str) -> str:
        return "path_loop" if step == _DEEP and self._loops else step[len("STEP_") :].lower()

    def load_raw(
        self, programs: Sequence[str], constants: Mapping[str, int], family: str = ""
    ) -> BpfObject:
        """Programs that follow tasks at raw tracepoints. Raises KernelError."""
        self.alive()
        loaded = self._object_file.open(constants)
        try:
            for program in programs:
                loaded.ask_for(program)
            self._share(loaded, family)
            loaded.load()
        except BaseException:
            loaded.close()
            raise
        return loaded

    def _share(self, loaded: BpfObject, family: str) -> None:
        """Have an object use the maps that there are, and make those of its family."""
        loaded.share_maps(self._base, BASE_MAPS)
        for other in _MAP_OWNERS - {family}:
            loaded.leave_out(f"{other}_calls")
            loaded.leave_out(f"{other}_steps")
        if self._first is not None:
            loaded.share_maps(self._first, COMMON_MAPS)

    def give_back(self, tracepoints: List[Tuple[str, ...]], functions: Taken) -> None:
        """Nothing is attached to those any more."""
        self._tracepoints.difference_update(tracepoints)
        self._functions.give_back(functions)

    def handler(self, base: BaseHandler, hooks: Hooks) -> CallHandler:
        """Who decodes the records of these programs, beside those of the base sensor."""
        self.workloads.connect(base)
        return CallHandler(self._btf, base, hooks, hooks.ancestors)

    def close(self) -> None:
        """Give all programs back."""
        self.settled()
        self.workloads.close()
        self.uses.close()
        self.slots.close()
        for loaded in (*self._more, *self._objects.values()):
            loaded.close()
        self._objects.clear()
        self._whole.clear()
        self._more.clear()
        self._added.clear()
        self._entries.clear()
        while self._calls:
            os.close(self._calls.popitem()[1])

    def common(self) -> Dict[str, List[ProgramInfo]]:
        """By kind of hook: what the kernel tells of the programs that all policies have in common.

        Raises KernelError.
        """
        return {kind: [program_info(fd) for fd in fds] for kind, fds in list(self._entries.items())}
