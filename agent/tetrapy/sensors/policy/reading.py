# SPDX-License-Identifier: Apache-2.0
"""How the records of a hook are read: all that does not differ from call to call, made once."""

from __future__ import annotations

from operator import itemgetter
from typing import AbstractSet, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type

from tetrapy.events.calls import (
    CallEvent,
    ProcessKprobe,
    ProcessLsm,
    ProcessTracepoint,
    ProcessUprobe,
    ProcessUsdt,
)
from tetrapy.sensors.policy.hook import (
    FENTRY,
    KPROBE,
    LSM,
    MAPPED,
    RAW_TRACEPOINT,
    TRACEPOINT,
    UPROBE,
    USDT,
    Hook,
)
from tetrapy.sensors.policy.mapped import MappedFiles
from tetrapy.sensors.policy.probes import probe_of
from tetrapy.sensors.policy.value_abi import Decode, ValueAbi
from tetrapy.sensors.policy.value_decoders import as_it_is, decoder, file_hash

Values = List[Any]
"""Of a call: an Argument or None for each value of the hook; behind them its stacks."""

_EVENTS: Mapping[str, Type[CallEvent]] = {
    KPROBE: ProcessKprobe,
    FENTRY: ProcessKprobe,
    UPROBE: ProcessUprobe,
    USDT: ProcessUsdt,
    TRACEPOINT: ProcessTracepoint,
    RAW_TRACEPOINT: ProcessTracepoint,
    LSM: ProcessLsm,
}


class Reading:
    """What the handler goes by. Slots, since a call asks for a dozen of them: of a named tuple each
    would cost it ten times as much.
    """

    __slots__ = (
        "actions",
        "arguments",
        "data",
        "decoders",
        "event",
        "hook",
        "merges",
        "probe",
        "requests",
        "return_actions",
        "returned",
        "returns",
        "with_ancestors",
        "with_stacks",
    )

    def __init__(
        self,
        hook: Hook,
        event: Any,
        decoders: Tuple[Optional[Decode], ...],
        arguments: Callable[[Values], Tuple[Any, ...]],
        data: Optional[Callable[[Values], Tuple[Any, ...]]],
        returned: int,
        return_actions: Tuple[str, ...],
        with_ancestors: bool,
    ) -> None:
        """`event` is a class of CallEvent, or called as one; `decoders` go by the index of values;
        `arguments` and `data` take of the values those of a role, and `returned` is the index of
        what is returned (-1: there is none, or it is among the arguments); `return_actions` go by
        selector, and the last one is for a return that is not known.
        """
        self.hook = hook
        self.probe = probe_of(hook)
        self.event = event
        self.decoders = decoders
        self.arguments = arguments
        self.data = data
        self.returned = returned
        self.return_actions = return_actions
        self.with_ancestors = with_ancestors
        # Calls reported with their return; halves without the other; all records.
        self.merges = [0, 0, 0]
        self.with_stacks = hook.stacks
        self.returns = hook.returns
        self.actions = hook.actions
        self.requests = hook.requests


def reading_of(hook: Hook, abi: ValueAbi, stacks_at: int, ancestors: AbstractSet[str]) -> Reading:
    """Of a hook whose stacks, if it has some, are values behind `stacks_at`.

    `ancestors`: types of events that show them.
    """
    roles: Dict[str, List[int]] = {"argument": [], "data": [], "return": [], "hidden": []}
    decoders: List[Optional[Decode]] = []
    for index, value in enumerate(hook.values):
        roles[value.role].append(index)
        decoders.append(decoder(abi, value, hook.kind))
    if hook.stacks:
        decoders += [None] * (stacks_at - len(decoders)) + [as_it_is] * 2
    if hook.hashes:
        decoders += [None] * (stacks_at + 2 - len(decoders)) + [file_hash]
    event: Any = MappedFiles() if hook.kind == MAPPED else _EVENTS[hook.kind]
    if event is ProcessKprobe:
        returned = roles["return"][0] if roles["return"] else -1
        return_actions = (*hook.return_actions, "KPROBE_ACTION_POST")
    else:
        # Other messages have no place for it: Tetragon puts it behind the arguments.
        roles["argument"] += roles["return"]
        returned, return_actions = -1, ("",) * (len(hook.actions) + 1)
    return Reading(
        hook,
        event,
        tuple(decoders),
        _getter(roles["argument"]),
        _getter(roles["data"]) if roles["data"] else None,
        returned,
        return_actions,
        event.type in ancestors,
    )


def _getter(indices: Sequence[int]) -> Callable[[Values], Tuple[Any, ...]]:
    """What takes some of the values: of those that there are."""
    if len(indices) < 2:
        return lambda values: tuple([values[at] for at in indices if values[at] is not None])
    take = itemgetter(*indices)

    def taken(values: Values) -> Tuple[Any, ...]:
        found = take(values)
        return tuple([one for one in found if one is not None]) if None in found else found

    return taken
