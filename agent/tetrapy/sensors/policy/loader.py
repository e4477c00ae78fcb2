# SPDX-License-Identifier: Apache-2.0
"""A policy -> programs that are attached where its hooks are; all of them, or none.

First all is prepared, which takes long; then all is attached, which does not.
"""

from __future__ import annotations

import contextlib
from typing import Callable, Dict, Iterator, List, Tuple

from tetrapy.errors import (
    FormatError,
    KernelError,
    LayoutError,
    NotLoadedError,
    NotPermittedError,
    PolicyUnsupportedError,
    TetrapyError,
)
from tetrapy.kernel import privilege
from tetrapy.kernel.symbols import Symbols
from tetrapy.kernel.tracefs import KernelFiles
from tetrapy.policy.later import later
from tetrapy.policy.macros import effective
from tetrapy.policy.schema.policy import SECTIONS
from tetrapy.policy.types import Policy, Selector
from tetrapy.policy.values import escaped
from tetrapy.sensors.policy import kprobes, tracepoints, uprobes
from tetrapy.sensors.policy.compiler import Compiled, HookCompiler, Host
from tetrapy.sensors.policy.hook import Hook, Hooks
from tetrapy.sensors.policy.member_path import KernelTypes
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.plan import Machine, PlaceError, Plan, Site
from tetrapy.sensors.policy.programs import AttachedHook, Programs
from tetrapy.sensors.policy.values import Source

MAX_MESSAGE, MAX_TAG = 256, 128
"""Bytes of what events show."""

_PLANNERS: Dict[str, Callable[..., Plan]] = {
    "kprobes": kprobes.plan,
    "tracepoints": tracepoints.plan,
    "uprobes": uprobes.plan,
}
# Sensors as Tetragon names them, in the list of policies.
_SENSORS = {
    "kprobes": "generic_kprobe",
    "tracepoints": "generic_tracepoint",
    "uprobes": "generic_uprobe",
}


class PolicyLoadError(TetrapyError):
    """A policy is not loaded: the place in it, and why."""


class LoadedPolicy:
    """What of a policy is in the kernel: prepared, then attached; `close` takes it out."""

    def __init__(self) -> None:
        self.acquired = contextlib.ExitStack()
        self.sensors: Tuple[str, ...] = ()
        self.left_out: List[str] = []  # hooks that are not there, and may be missing
        self.kernel_memory = 0  # bytes of what only this policy has
        self.hooks = 0
        self.prepared: List[Tuple[str, AttachedHook]] = []  # by the path of the hook

    def attach(self) -> None:
        """Have its programs run. Raises PolicyLoadError, with nothing of it left."""
        try:
            for path, hook in self.prepared:
                with _named(path):
                    hook.attach()
        except BaseException:
            self.close()
            raise

    def detach(self) -> None:
        """Stop its programs; what they reported before can still be understood."""
        for _, hook in self.prepared:
            hook.detach()

    def close(self) -> None:
        """Detach all, and give it back; safe to call twice."""
        self.acquired.close()


class PolicyLoader:
    """Loads policies, each on its own."""

    def __init__(
        self,
        programs: Programs,
        hooks: Hooks,
        host: Host,
        types: Callable[[], KernelTypes],
        partial_types: str = "",
    ) -> None:
        """`types` gives the kernel's types for `resolve`; it may raise PolicyUnsupportedError.

        `partial_types`: where those come from that the programs are loaded with, if some may lack.
        """
        self._partial_types = partial_types
        self._programs = programs
        self._hooks = hooks
        self._host = host
        self._types = types
        self._files = KernelFiles()
        self._symbols = Symbols(self._files)

    def prepare(self, policy: Policy) -> LoadedPolicy:
        """Load all hooks of a checked policy, so that they can be attached.

        Raises PolicyLoadError, with nothing of it left; PolicyUnsupportedError for a feature that
        is not there yet.
        """
        for feature in later(policy):
            raise PolicyUnsupportedError(str(feature))
        spec = policy.spec
        for section in ("loader", *SECTIONS):
            if getattr(spec, section) and section not in _PLANNERS:
                raise PolicyUnsupportedError(f"spec.{section}: {section} is not supported yet")
        machine = Machine(self._host.machine, self._files, self._symbols, spec)
        loaded = LoadedPolicy()
        try:
            for section in SECTIONS:
                for number, hook in enumerate(getattr(spec, section)):
                    path = f"spec.{section}[{number}]"
                    with _named(path), self._typed():
                        plan = _PLANNERS[section](hook, machine)
                        self._prepare(policy, plan, path, loaded)
                    loaded.left_out += plan.left_out
                    loaded.sensors = (_SENSORS[section],)
        except BaseException:
            loaded.close()
            raise
        return loaded

    @contextlib.contextmanager
    def _typed(self) -> Iterator[None]:
        """Says so where programs are refused because types of the kernel are not known."""
        try:
            yield
        except NotLoadedError as err:
            if not self._partial_types:
                raise
            raise PolicyUnsupportedError(
                "its programs read structures of the kernel that are not known here: this kernel"
                f" has no BTF, and the types are {self._partial_types}; name a whole BTF with"
                " --btf, or add it with `tetrapy btf add`"
            ) from err

    def _prepare(self, policy: Policy, plan: Plan, path: str, loaded: LoadedPolicy) -> None:
        selectors = effective(plan.hook.selectors, policy.spec.selectors_macros)
        alike = plan.prototype is None or not any(
            argument.resolve and not argument.btf_type for argument in plan.arguments
        )
        groups = [plan.sites] if alike else [(site,) for site in plan.sites]
        for sites in groups:
            if not sites:
                continue
            compiled = self._compiled(policy, plan, sites[0], selectors)
            places = []
            for site in sites:
                number = self._hooks.add(_described(policy, plan, site, compiled, selectors))
                loaded.acquired.callback(self._hooks.remove, number)
                places += _places(site.place._replace(number=number), compiled)
            hook = self._programs.prepare(compiled.table, places)
            loaded.acquired.callback(hook.close)
            loaded.prepared.append((path, hook))
            loaded.kernel_memory += hook.kernel_memory
            loaded.hooks += len(sites)

    def _compiled(
        self, policy: Policy, plan: Plan, site: Site, selectors: List[Selector]
    ) -> Compiled:
        prototype = plan.prototype
        source = Source(
            self._host.machine,
            plan.fields,
            self._types,
            None if prototype is None else lambda types: prototype(types, site),
        )
        compiler = HookCompiler(self._programs.writer, self._host, policy.spec.lists, source)
        return compiler.compile(plan.arguments, selectors, plan.return_argument, plan.data)

    def close(self) -> None:
        """Give back what loading takes; loaded policies stay. Loading is possible again."""
        self._files.close()


def _places(place: Place, compiled: Compiled) -> List[Place]:
    """The return first: a call that begins between the two would never be seen to return."""
    if not compiled.table.reports_return:
        return [place]
    return [place._replace(is_return=True), place]


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
        actions=tuple(map(_last_action, selectors)) or (_action("Post"),),
        returns=compiled.table.reports_return,
        offset=site.offset,
        namespace=policy.metadata.namespace,
    )


def _last_action(selector: Selector) -> str:
    """Events show the last action of a match."""
    return _action(selector.match_actions[-1].action if selector.match_actions else "Post")


def _action(name: str) -> str:
    return f"KPROBE_ACTION_{name.upper()}"


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Puts the path of a hook in front of whatever keeps it from being loaded."""
    try:
        yield
    except PolicyUnsupportedError as err:
        raise PolicyUnsupportedError(f"{path}: {err}") from err
    except (PlaceError, KernelError, LayoutError, FormatError) as err:
        raise PolicyLoadError(f"{path}: {_explained(err)}") from err


def _explained(err: TetrapyError) -> str:
    if isinstance(err, KernelError) and not isinstance(err, NotPermittedError) and err.errno:
        refused = privilege.denied(err.errno, str(err))
        if isinstance(refused, NotPermittedError):
            return str(refused)
    return str(err)
