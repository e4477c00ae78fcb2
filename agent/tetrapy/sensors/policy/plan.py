# SPDX-License-Identifier: Apache-2.0
"""What a hook of a policy comes to on this machine: places, and what is read there."""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence, Tuple

from tetrapy.abi.tracepoint_format import Field
from tetrapy.errors import TetrapyError
from tetrapy.kernel.symbols import Symbols
from tetrapy.kernel.tracefs import KernelFiles
from tetrapy.named import NamedTuple
from tetrapy.policy.types import Argument, Spec
from tetrapy.sensors.policy.member_path import KernelTypes
from tetrapy.sensors.policy.place import Place


class PlaceError(TetrapyError):
    """There is no such place on this machine: a symbol, a file, a tracepoint."""


class Site(NamedTuple):
    """One place, and what events call it."""

    place: Place  # its number is not given yet
    target: Tuple[str, ...]  # function; path and symbol; subsystem and event
    offset: Optional[int] = None  # of a uprobe that names no symbol


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
    left_out: Tuple[str, ...] = ()  # what of it is not there, and may be missing


class Machine(NamedTuple):
    """What is asked about this machine."""

    machine: str  # as uname tells it
    files: KernelFiles
    symbols: Symbols
    spec: Spec
