# SPDX-License-Identifier: Apache-2.0
"""How a loaded program gets to its place, by the kind of hook."""

from __future__ import annotations

import errno
from typing import Callable, List

from tetrapy.errors import KernelError
from tetrapy.kernel import links
from tetrapy.kernel.bpf_object import FENTRY as AT_FENTRY
from tetrapy.kernel.bpf_object import FEXIT as AT_FEXIT
from tetrapy.kernel.bpf_object import LSM_HOOK, MODIFY_RETURN, SLEEPING_LSM_HOOK, Aim, BpfObject
from tetrapy.sensors.policy.hook import (
    FENTRY,
    LSM,
    MULTI_KPROBE,
    RAW_TRACEPOINT,
    TRACEPOINT,
    UPROBE,
)
from tetrapy.sensors.policy.place import Place

TRAMPOLINES = frozenset((FENTRY, LSM))
"""Kinds whose programs are for one function, as are those that they call."""

FIXED = TRAMPOLINES | {RAW_TRACEPOINT}
"""Kinds whose programs learn from constants which hook they run at, whatever the kernel."""

Attach = Callable[[], links.Link]


def aim(place: Place) -> Aim:
    """What the programs at a trampoline are."""
    if place.kind == LSM:
        return SLEEPING_LSM_HOOK if place.hashes else LSM_HOOK
    if place.is_return:
        return AT_FEXIT
    return MODIFY_RETURN if place.gives_verdict else AT_FENTRY


def attachment(
    loaded: BpfObject, program: str, place: Place, cookie: int, opened: List[links.Event]
) -> Attach:
    """What attaches the program; it raises KernelError. A cookie of 0 is none.

    `opened` gets what is open until then, for the caller to close. Raises KernelError.
    """
    if place.kind in TRAMPOLINES:
        what = f"{aim(place).name} {place.target[0]}"
        return lambda: links.attach_aimed(loaded, program, what)
    if place.kind == RAW_TRACEPOINT:
        return lambda: links.attach_raw_tracepoint(loaded, program, place.target[-1])
    if place.kind == TRACEPOINT:
        name = "/".join(place.target)
        return lambda: links.attach_tracepoint(loaded, program, name, place.tracepoint, cookie)
    if place.kind == MULTI_KPROBE:
        fd, is_return = loaded.program_fds()[program], place.is_return
        functions = [one.target[0] for one in place.group]
        # Of one hook: they differ in the number that records carry.
        cookies = [cookie - place.number + one.number for one in place.group]
        return lambda: links.attach_kprobes(fd, functions, cookies, is_return)
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
    # Opened now: so the kernel says whether there is such a function.
    event = links.open_kprobe(place.target[0], place.is_return)
    opened.append(event)
    if place.enforces:
        return lambda: _overriding(event, loaded, program, place.target[0])
    return lambda: event.attach(loaded, program, cookie)


def _overriding(event: links.Event, loaded: BpfObject, program: str, function: str) -> links.Link:
    try:
        return event.attach(loaded, program)
    except KernelError as err:
        if err.errno != errno.EINVAL:
            raise
        raise KernelError(
            f"this kernel lets nobody override {function}: it is not in its list of functions for"
            " error injection (error_injection/list in debugfs)",
            errno.EINVAL,
        ) from err
