# SPDX-License-Identifier: Apache-2.0
"""Where it is seen that a kernel function returns.

A kretprobe has room for ten calls of its function, or two for each CPU: who has as many threads
wait in the function takes the returns of all others. A program at the function's trampoline (fexit)
needs no room, where the kernel has its own BTF and the function is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Dict, FrozenSet, List, Tuple

from tetrapy.errors import KernelError
from tetrapy.kernel import features, links
from tetrapy.sensors.policy.attachment import Attach
from tetrapy.sensors.policy.hook import FENTRY, KPROBE, MULTI_KPROBE
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.plan import Machine, Site
from tetrapy.sensors.policy.tables import HookTable, HookWriter
from tetrapy.sensors.policy.together import one_by_one
from tetrapy.sensors.policy.values import PATHS

if TYPE_CHECKING:
    from tetrapy.sensors.policy.attached import AttachedHook

MAX_FUNCTIONS = 64
"""Of one hook: programs are loaded for each function."""

Taken = List[Tuple[str, int]]


class Functions:
    """Those that kprobes override, and those whose return a trampoline sees: no function is both.

    Where there is such a trampoline the kernel runs the function, whatever a kprobe says.
    """

    OVERRIDES, SEES = -1, 1

    def __init__(self) -> None:
        self._users: Dict[str, int] = {}  # how many, with the sign of what they do

    def take(self, function: str, what: int, taken: Taken) -> bool:
        """Note it in `taken`, which is to be given back; False where others do the opposite."""
        users = self._users.get(function, 0)
        if users * what < 0:
            return False
        self._users[function] = users + what
        taken.append((function, what))
        return True

    def override(self, function: str, taken: Taken) -> None:
        """A kprobe will keep it from running. Raises KernelError where that is not heeded."""
        if not self.take(function, self.OVERRIDES, taken):
            raise KernelError(
                f"{function} would run all the same, since a policy that is loaded already is told"
                " of its return by a trampoline: load the one that overrides it first, or let it"
                " use fmod-ret"
            )

    def give_back(self, taken: Taken) -> None:
        """What was taken is over."""
        while taken:
            function, what = taken.pop()
            self._users[function] -= what


def with_exits(sites: Tuple[Site, ...], machine: Machine) -> Tuple[Site, ...]:
    """Kprobes of one hook, with what trampolines need to see the functions return."""
    if len(sites) > MAX_FUNCTIONS or not features.FENTRY.is_there:
        return sites
    # Before e21aa341785c "bpf: Fix fexit trampoline" (Linux 5.12, 5.10.27) the kernel gave up the
    # trampoline of a function in which threads wait.
    if not machine.btf.has_member("bpf_tramp_image", "ip_after_call"):
        return sites
    return tuple(_with_exit(site, machine) for site in sites)


def _with_exit(site: Site, machine: Machine) -> Site:
    prototype = machine.btf.prototype(site.place.target[0])
    if prototype is None or not prototype.returns:
        return site
    return site._replace(place=site.place._replace(exits=True, arguments=prototype.registers))


def steps_at_return(table: HookTable, writer: HookWriter) -> FrozenSet[str]:
    """The steps that a call of a hook takes when it returns: most read no path then."""
    steps = {"STEP_VALUES"}
    paths = {writer.kinds[name] for name in PATHS}
    at_return = writer.value_flags["VALUE_AT_RETURN"]
    if any(value.kind in paths and value.flags & at_return for value in table.values):
        steps |= {"STEP_PATH", "STEP_PATH_DEEP"}
    if table.return_texts or table.return_searches:
        steps.add("STEP_MATCH")
    return table.steps | steps


def attachment_of(
    place: Place, prepare: Callable[[Place], Attach], functions: Functions, hook: AttachedHook
) -> Attach:
    """What attaches a program: of a kprobe's return at a trampoline, where the kernel takes it; of
    several kprobes by one link, or else by one each.

    Raises KernelError.
    """
    function = place.target[-1]
    if place.kind == MULTI_KPROBE:
        return one_by_one(place, prepare, hook)
    if place.kind != KPROBE or not (place.is_return and place.exits):
        return prepare(place)
    if not functions.take(function, functions.SEES, hook.taken):
        return prepare(place)
    try:
        attach = prepare(place._replace(kind=FENTRY))
    except KernelError:
        return prepare(place)

    def attached() -> links.Link:
        try:
            return attach()
        except KernelError:  # a machine may take such programs and run none, or have too many
            return prepare(place)()

    return attached
