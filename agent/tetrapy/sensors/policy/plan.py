# SPDX-License-Identifier: Apache-2.0
"""What a hook of a policy comes to on this machine: places, and what is read there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence, Tuple

from tetrapy.abi.tracepoint_format import Field
from tetrapy.errors import TetrapyError
from tetrapy.kernel.kernel_btf import KernelBtf
from tetrapy.kernel.symbols import Symbols
from tetrapy.kernel.tracefs import KernelFiles
from tetrapy.named import NamedTuple
from tetrapy.policy.types import Argument, Spec
from tetrapy.sensors.policy.hook import RAW_TRACEPOINT, TRACEPOINT
from tetrapy.sensors.policy.link_kinds import LinkKinds
from tetrapy.sensors.policy.member_path import KernelTypes
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.tables import HookWriter

if TYPE_CHECKING:
    from tetrapy.abi.static_probes import Operand  # of USDTs: most policies have none


class PlaceError(TetrapyError):
    """There is no such place on this machine: a symbol, a file, a tracepoint."""


class Site(NamedTuple):
    """One place, and what events call it."""

    place: Place  # its number is not given yet
    target: Tuple[str, ...]  # function; path and symbol; subsystem and event
    offset: Optional[int] = None  # of a uprobe that names no symbol
    operands: Tuple[Operand, ...] = ()  # of a static probe: where its arguments are


class Plan(NamedTuple):
    """One entry of a policy's hooks, on this machine. Its sites have all of the rest in common."""

    kind: str
    sites: Tuple[Site, ...]
    hook: Any  # of the policy's types: has selectors, message and tags
    arguments: Tuple[Argument, ...]
    data: Tuple[Argument, ...] = ()
    return_argument: Optional[Argument] = None
    fields: Optional[Sequence[Field]] = None
    # The types of a site's arguments, for `resolve`.
    prototype: Optional[Callable[[KernelTypes, Site], Sequence[int]]] = None
    # Of the program that the hook is in: those that `resolve` of its arguments needs.
    types: Optional[Callable[[], KernelTypes]] = None
    # Makes the table, and says what its values are, where arguments and selectors do not.
    made: Optional[Callable[[HookWriter, Callable[[], KernelTypes]], Any]] = None
    can_override: bool = False  # its programs may keep the function from running
    overrides_later: bool = False  # ... which is done by one behind the others
    hashes: bool = False  # another program at each site has IMA hash files
    left_out: Tuple[str, ...] = ()  # what of it is not there, and may be missing
    # Says why the kernel refuses it, by raising PlaceError or KernelError, if that can be reported.
    explain: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        """Its name in figures: kprobe:FUNCTION, as the policy says it."""
        kind = TRACEPOINT if self.kind == RAW_TRACEPOINT else self.kind
        name = getattr(self.hook, "call", "") or getattr(self.hook, "hook", "")
        if not name:
            name = "/".join(self.sites[0].target) if self.sites else getattr(self.hook, "path", "")
        return f"{kind}:{name}"


class Machine(NamedTuple):
    """What is asked about this machine."""

    machine: str  # as uname tells it
    files: KernelFiles
    symbols: Symbols
    spec: Spec
    btf: KernelBtf
    link_kinds: LinkKinds
