# SPDX-License-Identifier: Apache-2.0
"""Kprobes of one hook that have one link: BPF_TRACE_KPROBE_MULTI, Linux 5.18.

To attach them one by one the kernel looks each function up among all its symbols, and goes through
all that it can trace; here it does so once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, AbstractSet, Callable, Sequence

from tetrapy.errors import KernelError
from tetrapy.kernel import links
from tetrapy.kernel.kernel_btf import KernelBtf
from tetrapy.policy import values
from tetrapy.policy.types import KprobeHook, Selector
from tetrapy.sensors.policy.attachment import Attach
from tetrapy.sensors.policy.hook import KPROBE, MULTI_KPROBE
from tetrapy.sensors.policy.place import Place

if TYPE_CHECKING:
    from tetrapy.sensors.policy.attached import AttachedHook
    from tetrapy.sensors.policy.plan import Machine

OPTION = "disable-kprobe-multi"
MIN_FUNCTIONS = 48
"""Of a hook: with fewer it does not pay that calls cost more, and that there are two instances of
programs where other hooks have single kprobes. docs/decisions/policies.md has the figures.
"""


def fits(hook: KprobeHook, selectors: Sequence[Selector]) -> bool:
    """Whether kprobes of a hook work as well with one link.

    Behind such a link are not all registers from Linux 6.14 on, nor what a stack trace begins with.
    And what an enforcer does at a function has to come behind what leaves it to him: that is so of
    two single kprobes alone.
    """
    actions = [action for one in selectors for action in one.match_actions]
    actions += [action for one in selectors for action in one.match_return_actions]
    return not (
        any(one.source == "pt_regs" for one in hook.data)
        or any(one.kernel_stack_trace or one.user_stack_trace for one in actions)
        or any(one.action in {"NotifyEnforcer", "Override"} for one in actions)
    )


def joinable(symbols: Sequence[str], is_syscall: bool, machine: Machine) -> AbstractSet[str]:
    """Which functions of a hook may have one link, if this kernel has such, and the policy no wish.

    A link of many takes the first of several functions with one name, one cookie for two names of a
    function, and functions on the blacklist; and while it is there no module of its functions can
    be unloaded. All that is otherwise with single kprobes, so those functions have these. None of
    them is the function of a system call.
    """
    # The last one counts, as of all options.
    asked = [one.value for one in machine.spec.options if one.name == OPTION]
    if len(symbols) < MIN_FUNCTIONS or (asked and values.boolean(asked[-1])):
        return frozenset()
    if not machine.link_kinds.multi_kprobes:
        return frozenset()
    found = frozenset(symbols) if is_syscall else machine.symbols.apart(symbols)
    return frozenset(one for one in found if not machine.symbols.is_blacklisted(one))


def returns_have_one_link(btf: KernelBtf) -> bool:
    """Whether returns of many functions are seen through one link as well as by kretprobes.

    Before Linux 6.14 all functions of a link share the room for calls that have not returned, and
    it is smaller: who has many threads wait in one of them takes the returns of the others.
    """
    return btf.has_member("fprobe", "hlist_array")


def with_groups(places: Sequence[Place]) -> Sequence[Place]:
    """What is attached where several kprobes have one link.

    The links of many come last: what one of them is for begins at once.
    """
    together = [one for one in places if one.together and not (one.is_return and one.exits)]
    groups = [[one for one in together if one.is_return is wanted] for wanted in (True, False)]
    groups = [group for group in groups if len(group) >= MIN_FUNCTIONS]
    grouped = {one for group in groups for one in group}
    return [one for one in places if one not in grouped] + [
        group[0]._replace(kind=MULTI_KPROBE, group=tuple(group)) for group in groups
    ]


def caller(kind: str) -> str:
    """The kind whose places for calls programs take: no CPU is at calls of both at once, since the
    kernel runs no program of a kprobe on a CPU that is in another one.
    """
    return KPROBE if kind == MULTI_KPROBE else kind


def one_by_one(place: Place, prepare: Callable[[Place], Attach], hook: AttachedHook) -> Attach:
    """What attaches a group by one link, or else each of it. Raises KernelError.

    The kernel refuses all where it finds one not among its own functions, as one of a module, or
    cannot trace it, and says of none that it is the one.
    """
    together = prepare(place)

    def attach() -> links.Link:
        try:
            return together()
        except KernelError:
            first, *others = map(prepare, place.group)
        hook.attachments[:0] = others
        return first()

    return attach
