# SPDX-License-Identifier: Apache-2.0
"""Static probes of programs (USDT) that a policy hooks, on this machine."""

from __future__ import annotations

from typing import Dict, Iterator, List, Tuple

from tetrapy.abi.elf import FileBytes
from tetrapy.abi.executable import Executable
from tetrapy.abi.static_probes import Operand, StaticProbe, parse_operand, split_arguments
from tetrapy.errors import ElfError, FormatError, PolicyUnsupportedError
from tetrapy.kernel import features
from tetrapy.policy.macros import effective
from tetrapy.policy.problems import expected
from tetrapy.policy.types import Usdt
from tetrapy.sensors.policy.actions import sets
from tetrapy.sensors.policy.hook import UPROBE, USDT
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.plan import Machine, PlaceError, Plan, Site
from tetrapy.sensors.policy.uprobes import expect_machine, expect_uprobes, opened, program_types

MAX_SITES = 1024
"""Of one probe: where a compiler copied the function that it is in."""


def plan(hook: Usdt, machine: Machine) -> Plan:
    """Where it is. Raises PlaceError, PolicyUnsupportedError."""
    expect_uprobes()
    if sets(effective(hook.selectors, machine.spec.selectors_macros)):
        _expect_writing()
    for argument in hook.args:
        if argument.size_arg_index:
            raise PolicyUnsupportedError("args: sizeArgIndex of a static probe's argument")
    with opened(hook.path) as fd:
        try:
            executable = Executable(FileBytes(fd))
            expect_machine(hook.path, executable, machine)
            sites = tuple(_sites(hook, executable))
        except (ElfError, FormatError) as err:
            raise PlaceError(f"{hook.path}: {err}") from err
    return Plan(USDT, sites, hook, hook.args, types=program_types(hook))


def _expect_writing() -> None:
    if not features.WRITE_USER.is_there:
        raise PlaceError(
            "action Set: this kernel lets no program write into the memory of processes"
            f" ({features.WRITE_USER.name}): it is locked down, or the agent lacks CAP_SYS_ADMIN"
        )


def _sites(hook: Usdt, executable: Executable) -> Iterator[Site]:
    probes: Dict[Tuple[str, str], List[StaticProbe]] = {}
    for probe in executable.static_probes():
        probes.setdefault((probe.provider, probe.name), []).append(probe)
    found = probes.get((hook.provider, hook.name), ())
    if not found:
        name = f"{hook.provider}:{hook.name}"
        known = sorted(":".join(one) for one in probes)
        advice = f"; {expected(name, known)}" if known else ": it has none at all"
        raise PlaceError(f"{hook.path}: there is no static probe {name}{advice}")
    if len(found) > MAX_SITES:
        raise PlaceError(f"{hook.path}: the probe has {len(found)} places; at most {MAX_SITES} can"
                         " be hooked")  # fmt: skip
    for probe in found:
        counter = executable.offset_of_data(probe.semaphore) if probe.semaphore else 0
        offset = executable.offset_of_address(probe.address)
        place = Place(UPROBE, (hook.path,), 0, offset=offset, reference_counter=counter)
        yield Site(
            place,
            (hook.path, hook.provider, hook.name),
            operands=_operands(hook, probe, executable.machine),
        )


def _operands(hook: Usdt, probe: StaticProbe, machine: int) -> Tuple[Operand, ...]:
    """Those of the hook's arguments, in their order."""
    texts = split_arguments(probe.arguments)
    operands = []
    for argument in hook.args:
        if argument.index >= len(texts):
            raise PlaceError(
                f"{hook.path}: the static probe {hook.provider}:{hook.name} has {len(texts)}"
                f" arguments, and none with the index {argument.index}"
            )
        operands.append(parse_operand(texts[argument.index], machine))
    return tuple(operands)
