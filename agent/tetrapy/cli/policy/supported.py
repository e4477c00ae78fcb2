# SPDX-License-Identifier: Apache-2.0
"""What of a policy this agent would refuse when it makes the kernel's tables of it.

The hooks are compiled as an agent compiles them, for a kernel that has everything: what is refused
then is refused on all. Actions that are not there are left to `policy.later`.
"""

from __future__ import annotations

from typing import Any, List, Sequence

from tetrapy.abi.btf import Btf
from tetrapy.abi.elf import section_data
from tetrapy.abi.tracepoint_format import Field
from tetrapy.errors import BundleError, PolicyUnsupportedError
from tetrapy.policy import names
from tetrapy.policy.later import ACTIONS, Feature
from tetrapy.policy.macros import effective
from tetrapy.policy.names import SECTIONS
from tetrapy.policy.types import Argument, Policy, Selector
from tetrapy.sensors.policy import objects
from tetrapy.sensors.policy.compiler import HookCompiler
from tetrapy.sensors.policy.marks import Claim, Marks
from tetrapy.sensors.policy.member_path import Resolved
from tetrapy.sensors.policy.process_filters import Host
from tetrapy.sensors.policy.tables import HookWriter, MemberPath
from tetrapy.sensors.policy.values import Source

PART = "values and filters"
_HERE = ACTIONS - {"Set"}  # which the file of the static probe decides on
_MACHINE = "x86_64"  # any would do, but for the names of registers
_FIELDS = [Field("any", "long", 0, 8, is_signed=True)] * 128
_MOST_ARGUMENTS = 16


class _AnyTypes:
    """A kernel that has every structure and member, for what does not depend on them."""

    def structure(self, _name: str) -> int:
        return 0

    def resolve(self, _type_id: int, _path: str) -> Resolved:
        return Resolved(MemberPath((), 0), is_pointer=True, size=8)


def unsupported(policy: Policy) -> List[Feature]:
    """The first thing of each hook that is refused; none where the sources are not built."""
    try:
        writer = HookWriter(Btf(section_data(objects.read(objects.RING_OBJECT), ".BTF")))
    except BundleError:
        return []
    claim = Marks().claim()
    found = []
    for section in SECTIONS:
        for number, hook in enumerate(getattr(policy.spec, section)):
            selectors = effective(hook.selectors, policy.spec.selectors_macros)
            try:
                _compile(writer, claim, policy, section, hook, selectors)
            except PolicyUnsupportedError as err:
                found.append(Feature(str(err), f"spec.{section}[{number}]", PART))
    return found


def _compile(
    writer: HookWriter,
    claim: Claim,
    policy: Policy,
    section: str,
    hook: Any,
    selectors: Sequence[Selector],
) -> None:
    """Raises PolicyUnsupportedError."""
    types: Any = _AnyTypes()
    source = Source(
        _MACHINE,
        _FIELDS if section == "tracepoints" and not hook.raw else None,
        None if section == "usdts" else lambda: types,
        lambda _types: [0] * _MOST_ARGUMENTS,
        shows_stacks=section in {"kprobes", "fentries"},
        # Of a program's functions `policy.later` names it.
        can_override=section not in {"tracepoints", "fentries"},
    )
    host = Host(_MACHINE, dict.fromkeys(names.NAMESPACES, 1))
    compiler = HookCompiler(writer, host, policy.spec.lists, source, claim)
    returned = hook.return_arg if getattr(hook, "returns", False) else None
    data = [one for one in getattr(hook, "data", ()) if one.source != names.REGISTERS]
    if len(data) < len(getattr(hook, "data", ())):
        selectors = [one.replaced(match_data=()) for one in selectors]  # by their positions
    compiler.compile(
        [_typed(one) for one in hook.args], [_known(one) for one in selectors], returned, data
    )


def _typed(argument: Argument) -> Argument:
    typed: Argument = argument.replaced(type="int64")
    return typed if argument.type == names.AUTO else argument


def _known(selector: Selector) -> Selector:
    """Without what `policy.later` names."""
    at_call, at_return = (
        tuple(one.replaced(ima_hash=False) for one in actions if one.action in _HERE)
        for actions in (selector.match_actions, selector.match_return_actions)
    )
    kept: Selector = selector.replaced(
        match_actions=at_call, match_return_actions=at_return, match_workloads=None
    )
    return kept
