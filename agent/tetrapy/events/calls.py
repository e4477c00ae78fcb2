# SPDX-License-Identifier: Apache-2.0
"""The events of tracing policies: a function was called, a tracepoint was reached."""

from __future__ import annotations

from typing import Optional, Tuple

from tetrapy.events import encoders
from tetrapy.events.arguments import Argument, StackEntry, long_bytes, shortened
from tetrapy.events.event import Event, Undecided
from tetrapy.events.process import Process

_Arguments = Tuple[Argument, ...]


class Probe:
    """What all events of a hook have in common; what a kind of event has no field for is empty.

    An object and no tuple: its JSON is kept by it, and a tuple would be hashed each time.
    """

    __slots__ = (
        "event",
        "function_name",
        "label",
        "message",
        "name",
        "offset",
        "path",
        "policy_name",
        "provider",
        "ref_ctr_offset",
        "subsys",
        "symbol",
        "tags",
    )

    def __init__(
        self,
        label: str,
        policy_name: str,
        message: str = "",
        tags: Tuple[str, ...] = (),
        function_name: str = "",
        subsys: str = "",
        event: str = "",
        path: str = "",
        symbol: str = "",
        offset: int = 0,
        ref_ctr_offset: int = 0,
        provider: str = "",
        name: str = "",
    ) -> None:
        """`label` as metrics name it: kprobe:FUNCTION."""
        self.label = label
        self.policy_name = policy_name
        self.message = message
        self.tags = tags
        self.function_name = function_name
        self.subsys = subsys
        self.event = event
        self.path = path
        self.symbol = symbol
        self.offset = offset
        self.ref_ctr_offset = ref_ctr_offset
        self.provider = provider
        self.name = name


class CallEvent(Event):
    """A call by the thread `tid` of `process`.

    `ancestors`, from the grandparent outwards, are empty unless the settings ask for them.
    """

    __slots__ = (
        "action",
        "ancestors",
        "args",
        "data",
        "ima_hash",
        "kernel_stack",
        "parent",
        "probe",
        "process",
        "return_action",
        "returned",
        "tid",
        "time",
        "undecided",
        "user_stack",
    )
    process: Process
    probe: Probe
    undecided: Optional[Undecided]

    def __init__(
        self,
        probe: Probe,
        process: Process,
        tid: int,
        parent: Optional[Process],
        time: int,
        action: str,
        args: _Arguments = (),
        data: _Arguments = (),
        returned: Optional[Argument] = None,
        return_action: str = "",
        ancestors: Tuple[Process, ...] = (),
        kernel_stack: Tuple[StackEntry, ...] = (),
        user_stack: Tuple[StackEntry, ...] = (),
        ima_hash: str = "",
    ) -> None:
        """`time` in ns since 1970; actions are names of enum KprobeAction; `ima_hash` NAME:HEX."""
        self.probe = probe
        self.process = process
        self.tid = tid
        self.parent = parent
        self.time = time
        self.action = action
        self.args = args
        self.data = data
        self.returned = returned
        self.return_action = return_action
        self.ancestors = ancestors
        self.kernel_stack = kernel_stack
        self.user_stack = user_stack
        self.ima_hash = ima_hash
        self.undecided = None

    @property
    def policy_name(self) -> str:
        """The name of the policy that asked for it."""
        return self.probe.policy_name

    def own_sizes(self) -> Tuple[int, ...]:
        """The bytes of JSON of each argument."""
        returned = () if self.returned is None else (self.returned,)
        return tuple(map(long_bytes, self.args + self.data + returned))

    def of(self, process: Process, most: Optional[int] = None) -> CallEvent:
        """The same event, of `process`, with at most so many bytes of JSON of each argument."""
        args, data, returned = self.args, self.data, self.returned
        if most is not None:
            args = tuple([shortened(one, most) for one in args])
            data = tuple([shortened(one, most) for one in data])
            returned = None if returned is None else shortened(returned, most)
        return self.__class__(
            self.probe,
            process,
            self.tid,
            self.parent,
            self.time,
            self.action,
            args,
            data,
            returned,
            self.return_action,
            self.ancestors,
            self.kernel_stack,
            self.user_stack,
            self.ima_hash,
        )


class ProcessKprobe(CallEvent):
    """A function of the kernel was called, or returned (message `ProcessKprobe`)."""

    __slots__ = ()
    name = "process_kprobe"
    type = "PROCESS_KPROBE"
    encoded = encoders.process_kprobe


class ProcessTracepoint(CallEvent):
    """A tracepoint of the kernel was reached (message `ProcessTracepoint`)."""

    __slots__ = ()
    name = "process_tracepoint"
    type = "PROCESS_TRACEPOINT"
    encoded = encoders.process_tracepoint


class ProcessUprobe(CallEvent):
    """A function of a program or library was called (message `ProcessUprobe`)."""

    __slots__ = ()
    name = "process_uprobe"
    type = "PROCESS_UPROBE"
    encoded = encoders.process_uprobe


class ProcessUsdt(CallEvent):
    """A static probe of a program or library was reached (message `ProcessUsdt`)."""

    __slots__ = ()
    name = "process_usdt"
    type = "PROCESS_USDT"
    encoded = encoders.process_usdt


class ProcessLsm(CallEvent):
    """A hook of Linux security modules was called (message `ProcessLsm`)."""

    __slots__ = ()
    name = "process_lsm"
    type = "PROCESS_LSM"
    encoded = encoders.process_lsm
