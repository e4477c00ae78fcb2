# SPDX-License-Identifier: Apache-2.0
"""A policy that is in the kernel: its hooks, what they act and count."""

from __future__ import annotations

import contextlib
import errno as errnos
from typing import TYPE_CHECKING, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from tetrapy.errors import (
    FormatError,
    KernelError,
    LayoutError,
    NotPermittedError,
    PolicyUnsupportedError,
    TetrapyError,
)
from tetrapy.kernel import privilege
from tetrapy.kernel.programs import ProgramInfo, program_info
from tetrapy.kernel.waits import call_all
from tetrapy.named import NamedTuple
from tetrapy.policy.acting import ENFORCE, MONITOR, MONITOR_ONLY
from tetrapy.sensors.policy.attached import AttachedHook
from tetrapy.sensors.policy.hook import UPROBE
from tetrapy.sensors.policy.lineage import Lineage
from tetrapy.sensors.policy.plan import PlaceError, Plan
from tetrapy.sensors.policy.slots import Slots
from tetrapy.sensors.policy.workloads import Workloads

if TYPE_CHECKING:
    from tetrapy.sensors.policy.pins import Pins
    from tetrapy.sensors.policy.uses import Uses


class PolicyLoadError(TetrapyError):
    """A policy is not loaded: the place in it, and why."""


class PreparedHook(NamedTuple):
    """Programs of one entry of a policy's hooks."""

    path: str  # in the policy
    hook: AttachedHook
    name: str  # as figures name it: kprobe:FUNCTION
    labels: Tuple[str, ...]  # of its selectors


class HookPlace(NamedTuple):
    """What of an entry is there."""

    section: str
    number: int
    description: str  # the function, or the program's path
    state: str  # of HookState of the API, without STATUS_


def place_of(plan: Plan, section: str, number: int) -> HookPlace:
    """What of an entry's places was found on this machine."""
    description = getattr(plan.hook, "path", "") or plan.name.partition(":")[2]
    if not plan.left_out:
        state = "LOADED"
    elif plan.kind == UPROBE:
        state = "DIGEST_REJECTED"
    else:
        state = "PARTIAL_CALL_NOT_FOUND" if plan.sites else "CALL_NOT_FOUND"
    return HookPlace(section, number, description, state)


_REPORTING = ("post", "nopost")
_ENFORCED = ("signal", "override", "notify_enforcer", "set")


class SelectorFigures(NamedTuple):
    """How often a selector decided on a call, and what was done then."""

    label: str
    matched: int
    # By what: post, nopost, signal, monitor_signal, override, ..., failed; of a hook that acts on
    # nobody the first two.
    actions: Mapping[str, int]

    @property
    def posted(self) -> int:
        """How many events of such calls were sent."""
        return self.actions.get("post", 0)

    @property
    def acted(self) -> int:
        """How often the kernel acted."""
        return sum(self.actions.get(name, 0) for name in _ENFORCED)

    @property
    def monitored(self) -> int:
        """How often it would have, but for the mode."""
        return sum(self.actions.get(f"monitor_{name}", 0) for name in _ENFORCED)


class HookFigures(NamedTuple):
    """How often an entry of a policy's hooks was called; of all functions that it names."""

    hook: str  # kprobe:FUNCTION, as the policy names it
    number: int  # in its section
    called: int
    missed_by_links: int  # calls that kprobes missed
    missed: int  # the same, and runs that the kernel skipped of programs that only this hook has
    selectors: Tuple[SelectorFigures, ...]


class LoadedPolicy:
    """What of a policy is in the kernel: prepared, then attached; `close` takes it out."""

    def __init__(
        self,
        lineage: Lineage,
        workloads: Workloads,
        mode: str,
        slots: Slots,
        pins: Optional[Pins] = None,
    ) -> None:
        """`pins` has it stay in the kernel after the agent, if it acts."""
        self._lineage = lineage
        self._workloads = workloads
        self._slots = slots
        self._pins = pins if mode != MONITOR_ONLY else None
        self._pinned = ""  # the directory
        self.not_kept = ""  # why it does not stay, though it should
        self.mode = mode  # of acting, see policy/acting.py
        self.acquired = contextlib.ExitStack()
        self.claim = lineage.claim()
        self.acquired.callback(lineage.release, self.claim)
        self.workloads = workloads.claim()
        self.acquired.callback(workloads.release, self.workloads)
        self.sensors: Tuple[str, ...] = ()
        self.left_out: List[str] = []  # hooks that are not there, and may be missing
        self.kernel_memory = 0  # bytes of what only this policy has
        self.hooks = 0
        self.places: List[HookPlace] = []
        self.number = 0  # that its hooks have in common
        self.acts = False  # on processes or sockets
        self.uses: Optional[Uses] = None  # which all policies have in common
        self.prepared: List[PreparedHook] = []
        self.alive: Callable[[], None] = lambda: None  # called while it is taken out
        self.between: Callable[[], None] = lambda: None  # ... and between hooks; may raise
        self.numbers: List[int] = []  # that its records carry

    def add(self, one: PreparedHook) -> None:
        """Something is ready to be attached, and closed elsewhere."""
        self.prepared.append(one)
        self.kernel_memory += one.hook.kernel_memory

    def attach(self, about: Mapping[str, str]) -> None:
        """Have its programs run. Raises PolicyLoadError, with nothing of it left.

        It begins to act when all are there: one that is killed meanwhile leaves no part that does.
        `about` is put to what stays after the agent.
        """
        try:
            with named("spec"):
                self._lineage.follow()
                self._workloads.follow()
                if self.acts:
                    self._slots.monitor(self.number, only=True)
                    self.acquired.callback(self._slots.monitor, self.number, only=False)
            for one in self.prepared:
                self.between()
                with named(one.path):
                    one.hook.attach()
            self._keep(about)
            with named("spec"):
                if self.acts and self.mode == ENFORCE:
                    self._slots.monitor(self.number, only=False)
        except BaseException:
            self.close()
            raise

    def _keep(self, about: Mapping[str, str]) -> None:
        if self._pins is None:
            return
        hooks = [one.hook for one in self.prepared]
        links = [link.fd for hook in hooks for link in hook.links]
        arrays = [array for hook in hooks for array in hook.arrays]
        if self.claim.asked:
            links += self._lineage.link_fds()
            arrays += self._lineage.array_fds()
        try:
            self._pinned = self._pins.keep(self.number, about, links, list(dict.fromkeys(arrays)))
        except KernelError as err:
            self.not_kept = str(err)
            if err.errno == errnos.EINVAL:
                self.not_kept = (
                    "this kernel cannot keep programs at kprobes, uprobes and tracepoints (Linux"
                    " 5.15 can); LSM hooks and raw tracepoints stay"
                )

    @property
    def stays(self) -> bool:
        """Whether it goes on when the agent ends."""
        return bool(self._pinned)

    def leave(self) -> None:
        """Leave it in the kernel, for good: the agent ends. Nothing else may be called then."""
        if self.claim.asked:
            self._lineage.leave()

    def set_mode(self, mode: str) -> None:
        """Have a policy that acts do so from now on, or monitor. Raises KernelError."""
        self._slots.monitor(self.number, only=mode == MONITOR)
        self.mode = mode

    def silence(self, yes: bool) -> None:
        """Have it tell nobody of calls for now, and go on acting; or not. Raises KernelError."""
        for one in self.prepared:
            one.hook.silence(yes)
        self._slots.settle(self.alive)

    def figures(self) -> List[HookFigures]:
        """What the kernel counted since it was loaded, in any mode. Raises KernelError."""
        found: Dict[str, HookFigures] = {}
        for one in list(self.prepared):
            counts = one.hook.counts()
            if counts is None:
                continue
            by_links = one.hook.missed_by_links()
            figures = HookFigures(
                one.name,
                int(one.path.rpartition("[")[2].rstrip("]")) if one.path.endswith("]") else 0,
                counts.called,
                by_links,
                by_links + one.hook.missed_by_programs(),
                tuple(
                    SelectorFigures(label, own.matched, _done(own.actions, one.hook.acts))
                    for label, own in zip(one.labels or ("",), counts.selectors)
                ),
            )
            before = found.get(one.path)
            found[one.path] = figures if before is None else _added(before, figures)
        return list(found.values())

    def programs(self) -> List[Tuple[str, ProgramInfo]]:
        """Where programs of its own are attached, and what the kernel tells of them.

        Raises KernelError.
        """
        return [
            ("/".join(place.target), program_info(fd))
            for one in self.prepared
            for place, fd in list(one.hook.programs)
        ]

    def ends(self) -> List[Callable[[], None]]:
        """What stops its programs, for the caller to call, in any order.

        What they reported before can still be understood.
        """
        return [end for one in self.prepared for end in one.hook.ends()]

    def close(self) -> None:
        """Detach all, and give it back; safe to call twice. It ceases to act at once."""
        pinned, self._pinned = self._pinned, ""
        if pinned and self._pins is not None:
            self._slots.monitor(self.number, only=True)
            # Where that cannot be removed, the next start does: it acts on nobody any more.
            with contextlib.suppress(KernelError):
                self._pins.forget(pinned)
        call_all(self.ends(), self.alive)
        self.acquired.close()


def _done(actions: Mapping[str, int], acts: bool) -> Mapping[str, int]:
    return actions if acts else {name: actions[name] for name in _REPORTING}


def _added(one: HookFigures, other: HookFigures) -> HookFigures:
    """Of two tables of one entry: its functions have their arguments in different places."""
    return one._replace(
        called=one.called + other.called,
        missed_by_links=one.missed_by_links + other.missed_by_links,
        missed=one.missed + other.missed,
        selectors=tuple(
            SelectorFigures(
                left.label,
                left.matched + right.matched,
                {name: times + right.actions[name] for name, times in left.actions.items()},
            )
            for left, right in zip(one.selectors, other.selectors)
        ),
    )


@contextlib.contextmanager
def named(path: str) -> Iterator[None]:
    """Put the path of a hook in front of whatever keeps it from being loaded.

    Raises PolicyLoadError, or PolicyUnsupportedError.
    """
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
