# SPDX-License-Identifier: Apache-2.0
"""How the records of a hook are read: all that does not differ from call to call, made once."""

from __future__ import annotations

from operator import itemgetter
from typing import AbstractSet, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type

from tetrapy.events.calls import (
    CallEvent,
    Probe,
    ProcessKprobe,
    ProcessLsm,
    ProcessTracepoint,
    ProcessUprobe,
    ProcessUsdt,
)
from tetrapy.named import NamedTuple
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


class Reading(NamedTuple):
    """What the handler goes by."""

    hook: Hook
    probe: Probe
    event: Any  # a class of CallEvent, or called as one
    decoders: Tuple[Optional[Decode], ...]  # by the index of values
    arguments: Callable[[Values], Sequence[Any]]  # of the values those of a role
    data: Optional[Callable[[Values], Sequence[Any]]]
    returned: int  # -1: none, or it is among the arguments
    return_actions: Tuple[str, ...]  # by selector; the last one is for a return that is not known
    with_ancestors: bool
    merges: List[int]  # calls reported with their return; halves without the other; all records
    with_stacks: bool
    returns: bool  # as the hook says it, like the next
    actions: Tuple[str, ...]
    requests: Tuple[Any, ...]


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
        probe_of(hook),
        event,
        tuple(decoders),
        _getter(roles["argument"]),
        _getter(roles["data"]) if roles["data"] else None,
        returned,
        return_actions,
        event.type in ancestors,
        [0, 0, 0],
        hook.stacks,
        hook.returns,
        hook.actions,
        hook.requests,
    )


def _getter(indices: Sequence[int]) -> Callable[[Values], Sequence[Any]]:
    """What takes some of the values."""
    return itemgetter(*indices) if len(indices) > 1 else lambda values: [values[i] for i in indices]
