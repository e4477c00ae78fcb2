# SPDX-License-Identifier: Apache-2.0
"""Kprobes of one hook that have one link: BPF_TRACE_KPROBE_MULTI, Linux 5.18.

To attach them one by one the kernel looks each function up among all its symbols, and goes through
all that it can trace; here it does so once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Sequence

from tetrapy.errors import KernelError
from tetrapy.kernel import links
from tetrapy.kernel.kernel_btf import KernelBtf
from tetrapy.policy import values
from tetrapy.policy.types import KprobeHook, Selector, Spec
from tetrapy.sensors.policy.attachment import Attach
from tetrapy.sensors.policy.hook import KPROBE, MULTI_KPROBE
from tetrapy.sensors.policy.link_kinds import LinkKinds
from tetrapy.sensors.policy.place import Place

if TYPE_CHECKING:
    from tetrapy.sensors.policy.attached import AttachedHook

OPTION = "disable-kprobe-multi"
MIN_FUNCTIONS = 8
"""Of a hook: for fewer the programs, which are others than those of single kprobes, do not pay."""


def may_have_one_link(
    hook: KprobeHook, selectors: Sequence[Selector], spec: Spec, functions: int
) -> bool:
    """Whether kprobes of a hook work as well with one link.

    Behind such a link are not all registers from Linux 6.14 on, nor what a stack trace begins with.
    And what an enforcer does at a function has to come behind what leaves it to him: that is so of
    two single kprobes alone.
    """
    # The last one counts, as of all options.
    asked = [one.value for one in spec.options if one.name == OPTION]
    if functions < MIN_FUNCTIONS or (asked and values.boolean(asked[-1])):
        return False
    actions = [action for one in selectors for action in one.match_actions]
    actions += [action for one in selectors for action in one.match_return_actions]
    return not (
        any(one.source == "pt_regs" for one in hook.data)
        or any(one.kernel_stack_trace or one.user_stack_trace for one in actions)
        or any(one.action in {"NotifyEnforcer", "Override"} for one in actions)
    )


def returns_have_one_link(btf: KernelBtf) -> bool:
    """Whether returns of many functions are seen through one link as well as by kretprobes.

    Before Linux 6.14 all functions of a link share the room for calls that have not returned, and
    it is smaller: who has many threads wait in one of them takes the returns of the others.
    """
    return btf.has_member("fprobe", "hlist_array")


def with_groups(places: Sequence[Place], kinds: LinkKinds) -> Sequence[Place]:
    """What is attached where several kprobes have one link, if the kernel has such.

    The links of many come last: what one of them is for begins at once.
    """
    together = [one for one in places if one.together and not (one.is_return and one.exits)]
    if not together or not kinds.multi_kprobes:
        return places
    groups = [[one for one in together if one.is_return is wanted] for wanted in (True, False)]
    alone = [one for one in places if not one.together or (one.is_return and one.exits)]
    return alone + [
        group[0]._replace(kind=MULTI_KPROBE, group=tuple(group)) for group in groups if group
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
