# SPDX-License-Identifier: Apache-2.0
"""Tracepoints and raw tracepoints of a policy, on this machine."""

from __future__ import annotations

import errno
import re
from typing import List, Sequence

from tetrapy.abi.tracepoint_format import MAX_FORMAT, Field, TracepointFormat, parse_format
from tetrapy.errors import FormatError, PolicyUnsupportedError
from tetrapy.kernel.tracefs import KernelFiles
from tetrapy.policy import names
from tetrapy.policy.macros import effective
from tetrapy.policy.problems import expected
from tetrapy.policy.types import Argument, Spec, Tracepoint
from tetrapy.sensors.policy.hook import RAW_TRACEPOINT, TRACEPOINT
from tetrapy.sensors.policy.member_path import KernelTypes
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.plan import Machine, PlaceError, Plan, Site

_LONG = 8  # bytes
_LONGS = r"(?:unsigned )?long\[\d+\]"
_AUTO_INTEGERS = {
    (1, True): "int8",
    (1, False): "uint8",
    (2, True): "int16",
    (2, False): "uint16",
    (4, True): "int32",
    (4, False): "uint32",
    (8, True): "int64",
    (8, False): "uint64",
}


def plan(hook: Tracepoint, machine: Machine) -> Plan:
    """Where it is. Raises PlaceError, PolicyUnsupportedError, KernelError."""
    return _raw(hook) if hook.raw else _by_format(hook, machine)


def _by_format(hook: Tracepoint, machine: Machine) -> Plan:
    found = _format(hook, machine.files)
    if hook.args and _is_array(hook.args[-1], found.fields):
        return _with_elements(hook, found, machine.spec)
    return _plan(hook, found)


def _plan(hook: Tracepoint, found: TracepointFormat) -> Plan:
    arguments = tuple(_typed(argument, found.fields, hook) for argument in hook.args)
    target = (hook.subsystem, hook.event)
    site = Site(Place(TRACEPOINT, target, 0, tracepoint=found.id), target)
    return Plan(TRACEPOINT, (site,), hook, arguments, fields=found.fields)


def _is_array(argument: Argument, fields: Sequence[Field]) -> bool:
    if argument.type != names.AUTO or argument.resolve or argument.index >= len(fields):
        return False
    return re.fullmatch(_LONGS, fields[argument.index].type) is not None


def _with_elements(hook: Tracepoint, found: TracepointFormat, spec: Spec) -> Plan:
    """The last argument is an array of numbers: each is a value, as Tetragon shows them."""
    *others, array = hook.args
    for selector in effective(hook.selectors, spec.selectors_macros):
        for match in selector.match_args:
            if len(others) in match.args or (not match.args and match.index == array.index):
                raise PolicyUnsupportedError(f"matchArgs: {match.operator} of an array")
    field = found.fields[array.index]
    elements = [
        Field(f"{field.name}[{at // _LONG}]", "unsigned long", field.offset + at, _LONG, False)
        for at in range(0, field.size, _LONG)
    ]
    first = len(found.fields)
    args = [array.replaced(index=first + at, type="uint64") for at in range(len(elements))]
    return _plan(
        hook.replaced(args=(*others, *args)),
        found._replace(fields=(*found.fields, *elements)),
    )


def _format(hook: Tracepoint, files: KernelFiles) -> TracepointFormat:
    name = f"{hook.subsystem}/{hook.event}"
    if "/" in hook.subsystem + hook.event or ".." in (hook.subsystem, hook.event):
        raise PlaceError(f"{name} is no name of a tracepoint")
    try:
        data = files.tracing(f"events/{name}/format")
    except OSError as err:
        if err.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise PlaceError(
                f"tracepoint {name}: its format cannot be read: {err.strerror}"
            ) from err
        raise PlaceError(f"this kernel has no tracepoint {name}{_advice(hook, files)}") from err
    if len(data) > MAX_FORMAT:
        raise PlaceError(f"tracepoint {name}: its format has more than {MAX_FORMAT} bytes")
    try:
        return parse_format(data.decode("utf-8", "replace"))
    except FormatError as err:
        raise PlaceError(f"tracepoint {name}: {err}") from err


def _advice(hook: Tracepoint, files: KernelFiles) -> str:
    try:
        subsystems = files.events()
        if hook.subsystem not in subsystems:
            return f": no subsystem {hook.subsystem}; {expected(hook.subsystem, subsystems)}"
        return f"; {expected(hook.event, files.events(hook.subsystem))}"
    except OSError:
        return ""


def _typed(argument: Argument, fields: Sequence[Field], hook: Tracepoint) -> Argument:
    """The argument with the type that `auto` stands for."""
    name = f"{hook.subsystem}/{hook.event}"
    if argument.index >= len(fields):
        last = len(fields) - 1
        raise PlaceError(f"tracepoint {name} has the fields 0 to {last}, not {argument.index}")
    if argument.type != names.AUTO or argument.resolve:
        return argument
    field = fields[argument.index]
    kind = _automatic(field, argument)
    if not kind:
        raise PolicyUnsupportedError(
            f"type auto of field {argument.index} of {name} ({field.type} {field.name}): name a"
            " type"
        )
    typed: Argument = argument.replaced(type=kind)
    return typed


def _automatic(field: Field, argument: Argument) -> str:
    words = field.type.split()
    if field.type == "size_t":
        return "size_t"
    if "char" in words and words[-1] == "*":
        return "char_buf" if argument.size_arg_index else ""
    if "*" in field.type or "[" in field.type or words[:1] in (["__data_loc"], ["__rel_loc"]):
        return ""
    return _AUTO_INTEGERS.get((field.size, field.is_signed), "")


def _raw(hook: Tracepoint) -> Plan:
    needed = 0
    kept: List[Argument] = []
    for argument in hook.args:
        if argument.type == names.AUTO and not argument.resolve:
            what = f"type auto of argument {argument.index} of the raw tracepoint {hook.event}"
            raise PolicyUnsupportedError(f"{what}: a raw tracepoint has no format; name a type")
        needed = max(needed, argument.index + 1, argument.size_arg_index)
        kept.append(argument)
    place = Place(RAW_TRACEPOINT, (hook.subsystem, hook.event), 0, arguments=needed)
    return Plan(
        RAW_TRACEPOINT,
        (Site(place, (hook.subsystem, hook.event)),),
        hook,
        tuple(kept),
        prototype=_raw_prototype,
    )


def _raw_prototype(types: KernelTypes, site: Site) -> Sequence[int]:
    return types.raw_tracepoint(site.target[1])
