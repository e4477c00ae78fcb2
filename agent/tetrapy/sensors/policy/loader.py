# SPDX-License-Identifier: Apache-2.0
"""A policy -> programs that are attached where its hooks are; all of them, or none.

First all is prepared, which takes long; then all is attached, which does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.kernel import malloc
from tetrapy.kernel.kernel_btf import KernelBtf
from tetrapy.kernel.programs import ProgramInfo
from tetrapy.kernel.symbols import Symbols
from tetrapy.kernel.tracefs import KernelFiles
from tetrapy.policy.acting import MONITOR_ONLY, mode_of
from tetrapy.policy.exclusions import means_written_path
from tetrapy.policy.later import later
from tetrapy.policy.macros import effective
from tetrapy.policy.names import SECTIONS
from tetrapy.policy.types import Action, Policy, Selector
from tetrapy.policy.values import escaped
from tetrapy.policy.workloads import of_selectors
from tetrapy.sensors.policy.actions import asks, tracks
from tetrapy.sensors.policy.attached import explained
from tetrapy.sensors.policy.compiler import STACK_STEP, Compiled, HookCompiler
from tetrapy.sensors.policy.hook import (
    FENTRY,
    KPROBE,
    LSM,
    TRACEPOINT,
    UPROBE,
    USDT,
    Hook,
    Hooks,
)
from tetrapy.sensors.policy.lineage import Lineage
from tetrapy.sensors.policy.loaded import (
    LoadedPolicy,
    PolicyLoadError,
    PreparedHook,
    named,
    place_of,
)
from tetrapy.sensors.policy.member_path import KernelTypes
from tetrapy.sensors.policy.place import in_order
from tetrapy.sensors.policy.plan import Machine, Plan, Site
from tetrapy.sensors.policy.process_filters import Host
from tetrapy.sensors.policy.programs import Programs
from tetrapy.sensors.policy.structures import Structures
from tetrapy.sensors.policy.values import Source

if TYPE_CHECKING:
    from tetrapy.sensors.policy.pins import Pins
    from tetrapy.sensors.policy.requests import Request

MAX_MESSAGE, MAX_TAG = 256, 128
"""Bytes of what events show."""

# Module and function that find the places of a section's hooks; imported when a policy has such.
_PLANNERS: Mapping[str, Tuple[str, str]] = {
    "kprobes": ("kprobes", "plan"),
    "fentries": ("trampolines", "plan_fentry"),
    "lsmhooks": ("trampolines", "plan_lsm"),
    "tracepoints": ("tracepoints", "plan"),
    "uprobes": ("uprobes", "plan"),
    "usdts": ("usdts", "plan"),
}
# Sensors as Tetragon names them, in the list of policies.
_SENSORS = {
    "kprobes": "generic_kprobe",
    "fentries": "generic_fentry",
    "lsmhooks": "generic_lsm",
    "tracepoints": "generic_tracepoint",
    "uprobes": "generic_uprobe",
    "usdts": "generic_usdt",
}

# Kinds of hooks whose events have a place for stacks.
_WITH_STACKS = frozenset((KPROBE, FENTRY))
_OF_PROGRAMS = frozenset((UPROBE, USDT))


class PolicyLoader:
    """Loads policies, each on its own."""

    def __init__(
        self,
        programs: Programs,
        hooks: Hooks,
        host: Host,
        lineage: Lineage,
        types: Callable[[], KernelTypes],
        structures: Structures,
        pins: Optional[Pins] = None,
    ) -> None:
        """`types` gives the kernel's types for `resolve`; it may raise PolicyUnsupportedError.

        `structures` are those of the kernel that the programs are loaded with. `pins` keeps
        policies that act when the agent ends.
        """
        self._pins = pins
        self._structures = structures
        self._programs = programs
        self._hooks = hooks
        self._host = host
        self._lineage = lineage
        self._types = types
        # Called before each hook is loaded or attached; what it raises ends that of the policy.
        self.between: Callable[[], None] = lambda: None
        self.forget_types: Callable[[], None] = lambda: None  # `types` reads them anew then
        self._files = KernelFiles()
        self._symbols = Symbols(self._files)
        self._btf = KernelBtf()

    def prepare(self, policy: Policy) -> LoadedPolicy:
        """Load all hooks of a checked policy, so that they can be attached.

        Raises PolicyLoadError, with nothing of it left; PolicyUnsupportedError for a feature that
        is not there yet.
        """
        for feature in later(policy):
            raise PolicyUnsupportedError(str(feature))
        spec = policy.spec
        room = self._programs.slots.room
        for section in SECTIONS:
            hooks = len(getattr(spec, section))
            if hooks > room:  # before the first of them takes time
                raise PolicyLoadError(
                    f"spec.{section}: has {hooks} hooks; there is room for {room} more in all"
                )
        kinds = self._programs.link_kinds
        machine = Machine(self._host.machine, self._files, self._symbols, spec, self._btf, kinds)
        loaded = LoadedPolicy(
            self._lineage,
            self._programs.workloads,
            mode_of(policy),
            self._programs.slots,
            self._pins,
        )
        loaded.alive, loaded.between = self._programs.alive, self.between
        loaded.number, loaded.uses = self._programs.new_policy(), self._programs.uses
        loaded.acts = bool(loaded.mode != MONITOR_ONLY or spec.enforcers or _tracks(policy))
        try:
            if spec.loader:
                with named("spec.loader"):
                    from tetrapy.sensors.policy import mapped  # late: few policies ask for it

                    plan = mapped.plan(machine, loaded.acquired)
                    self._prepare(policy, plan, "spec.loader", loaded)
                loaded.sensors += ("__loader__",)
            for number, enforcer in enumerate(spec.enforcers):
                path = f"spec.enforcers[{number}]"
                with named(path):
                    from tetrapy.sensors.policy.overrides import plan_enforcers  # late, as above

                    places = plan_enforcers(enforcer.calls, machine)
                    attached = self._programs.prepare_enforcer(loaded.number, places)
                    loaded.acquired.callback(attached.close)
                    loaded.add(PreparedHook(path, attached, path, ()))
                loaded.sensors += ("enforcer",)
            for section in SECTIONS:
                for number, hook in enumerate(getattr(spec, section)):
                    path = f"spec.{section}[{number}]"
                    self.between()
                    with named(path):
                        plan = _planner(section)(hook, machine)
                        self._prepare(policy, plan, path, loaded)
                    loaded.left_out += plan.left_out
                    loaded.places.append(place_of(plan, section, number))
                    if _SENSORS[section] not in loaded.sensors:
                        loaded.sensors += (_SENSORS[section],)
            with named("spec"):
                self._programs.slots.settle(self._programs.alive)
        except BaseException:
            loaded.close()
            raise
        return loaded

    def _prepare(self, policy: Policy, plan: Plan, path: str, loaded: LoadedPolicy) -> None:
        selectors = effective(plan.hook.selectors, policy.spec.selectors_macros)
        if asks(selectors) and not self._hooks.allows_requests:
            raise PolicyUnsupportedError(
                "actions GetUrl and DnsLookup have the agent speak to others, which the settings do"
                " not allow: leave them out, or set allow-policy-requests"
            )
        values = (("args", plan.arguments), ("data", plan.data))
        self._structures.expect(values, plan.return_argument, selectors)
        alike = plan.prototype is None or not any(
            argument.resolve and not argument.btf_type for argument in plan.arguments
        )
        groups: Dict[object, List[Site]] = {}
        for site in plan.sites:
            groups.setdefault(site.operands if alike else site, []).append(site)
        for sites in groups.values():
            compiled = self._compiled(policy, plan, sites[0], selectors, loaded)
            if STACK_STEP in compiled.table.steps:
                self._hooks.stacks.kernel.read()
            places = []
            for site in sites:
                number = self._hooks.add(_described(policy, plan, site, compiled, selectors))
                loaded.acquired.callback(self._hooks.remove, number)
                loaded.numbers.append(number)
                places += in_order(
                    site.place._replace(number=number),
                    returns=compiled.table.reports_return,
                    overrides=plan.overrides_later,
                    hashes=plan.hashes,
                )
            with explained(plan.explain):
                hook = self._programs.prepare(compiled.table, places)
            hook.explain = plan.explain
            loaded.acquired.callback(hook.close)
            labels = tuple(selector.label for selector in selectors)
            loaded.add(PreparedHook(path, hook, plan.name, labels))
            loaded.hooks += len(sites)

    def _compiled(
        self,
        policy: Policy,
        plan: Plan,
        site: Site,
        selectors: List[Selector],
        loaded: LoadedPolicy,
    ) -> Compiled:
        if plan.made is not None:
            made: Compiled = plan.made(self._programs.writer, self._types)
            return made
        prototype = plan.prototype
        source = Source(
            self._host.machine,
            plan.fields,
            self._types,
            None if prototype is None else lambda types: prototype(types, site),
            site.operands,
            program_types=plan.types,
            shows_stacks=plan.kind in _WITH_STACKS,
            of_user=plan.kind in _OF_PROGRAMS or site.place.is_syscall or _is_syscall_event(site),
            can_override=plan.can_override,
            only_refuses=plan.kind == LSM,
            overrides_later=plan.overrides_later,
            overrides_program=plan.kind == UPROBE,
            can_hash=plan.hashes,
            policy=loaded.number,
            tracks=_tracks(policy),
            returned=_RETURNED.get(getattr(plan.hook, "return_arg_action", "").lower(), ""),
            written_path=means_written_path(policy),
        )
        writer, lists = self._programs.writer, policy.spec.lists
        compiler = HookCompiler(writer, self._host, lists, source, loaded.claim)
        compiler.limit(loaded.workloads, of_selectors(policy, selectors))
        return compiler.compile(plan.arguments, selectors, plan.return_argument, plan.data)

    def common_programs(self) -> Dict[str, List[ProgramInfo]]:
        """By kind of hook: what the kernel tells of the programs that all policies share."""
        return self._programs.common()

    def close(self) -> None:
        """Give back what loading takes; loaded policies stay. Loading is possible again."""
        self._files.close()
        self._btf.close()
        self._programs.settled()
        self._programs.slots.settle(self._programs.alive)
        self.forget_types()
        malloc.give_back()


def _planner(section: str) -> Callable[[object, Machine], Plan]:
    module, function = _PLANNERS[section]
    found: Callable[[object, Machine], Plan] = getattr(
        importlib.import_module(f"tetrapy.sensors.policy.{module}"), function
    )
    return found


def _is_syscall_event(site: Site) -> bool:
    """Whether it is a tracepoint whose record has the arguments of a system call."""
    return site.place.kind == TRACEPOINT and site.target[0] == "syscalls"


_RETURNED = {"tracksock": "TrackSock", "untracksock": "UntrackSock"}


def _tracks(policy: Policy) -> bool:
    """Whether it notes whose sockets are."""
    return any(
        getattr(hook, "return_arg_action", "")
        or tracks(effective(hook.selectors, policy.spec.selectors_macros))
        for section in SECTIONS
        for hook in getattr(policy.spec, section)
    )


def _described(
    policy: Policy, plan: Plan, site: Site, compiled: Compiled, selectors: List[Selector]
) -> Hook:
    message = plan.hook.message
    return Hook(
        kind=plan.kind,
        policy=policy.metadata.name or policy.metadata.generate_name,
        target=site.target,
        values=compiled.values,
        message=escaped(message, MAX_MESSAGE) if message else "",
        tags=tuple(escaped(tag, MAX_TAG) for tag in plan.hook.tags),
        actions=tuple(_last_action(one.match_actions) for one in selectors) or (_action("Post"),),
        return_actions=tuple(_last_action(one.match_return_actions) for one in selectors)
        or (_action("Post"),),
        returns=compiled.table.reports_return,
        offset=site.offset,
        reference_counter=site.place.reference_counter if plan.kind == UPROBE else 0,
        namespace=policy.metadata.namespace,
        stacks=STACK_STEP in compiled.table.steps,
        hashes=plan.hashes,
        requests=_requests(selectors),
        workloads=tuple(of_selectors(policy, selectors)) if compiled.table.workloads else (),
        quiet=frozenset(
            number
            for number, one in enumerate(selectors)
            if any(action.action == "NoPost" for action in one.match_actions)
        ),
    )


def _requests(selectors: Sequence[Selector]) -> Tuple[Tuple[Request, ...], ...]:
    """By selector; empty where no selector has any."""
    if not asks(selectors):
        return ()
    from tetrapy.sensors.policy.requests import requests_of  # late: few policies ask for it

    return tuple(requests_of(one.match_actions) for one in selectors)


def _last_action(actions: Sequence[Action]) -> str:
    """Events show the last action of a match."""
    return _action(actions[-1].action if actions else "Post")


def _action(name: str) -> str:
    return f"KPROBE_ACTION_{name.upper()}"
