# SPDX-License-Identifier: Apache-2.0
"""The loader of tracing policies, with what it needs to know of this host."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, FrozenSet, Mapping, Optional, Sequence

from tetrapy.abi.btf import Btf
from tetrapy.btf import custom_btf
from tetrapy.btf.search import Search
from tetrapy.btf.source import BtfSource
from tetrapy.config.settings import Settings
from tetrapy.daemon import btf
from tetrapy.errors import BtfNotFoundError, PolicyUnsupportedError, TetrapyError
from tetrapy.events.calls import (
    ProcessKprobe,
    ProcessLsm,
    ProcessTracepoint,
    ProcessUprobe,
    ProcessUsdt,
)
from tetrapy.events.loader import ProcessLoader
from tetrapy.kernel import bundle
from tetrapy.policy import names
from tetrapy.process.procfs import host_namespaces
from tetrapy.sensors.base import BaseSource
from tetrapy.sensors.configuration import OBJECTS
from tetrapy.sensors.policy import objects
from tetrapy.sensors.policy.lineage import Lineage
from tetrapy.sensors.policy.loaded import PolicyLoadError
from tetrapy.sensors.policy.loader import PolicyLoader
from tetrapy.sensors.policy.member_path import KernelTypes
from tetrapy.sensors.policy.process_filters import Host
from tetrapy.sensors.policy.structures import GROUPS, Structures
from tetrapy.sensors.source import EventSource

if TYPE_CHECKING:
    from tetrapy.sensors.policy.pins import Pins

# What enable-ancestors calls events -> their type.
_TYPES: Mapping[str, str] = {
    "kprobe": ProcessKprobe.type,
    "tracepoint": ProcessTracepoint.type,
    "uprobe": ProcessUprobe.type,
    "lsm": ProcessLsm.type,
    "usdt": ProcessUsdt.type,
    "loader": ProcessLoader.type,
}
_BTF_DIRECTORY = "/sys/kernel/btf"
_KERNEL_BTF = f"{_BTF_DIRECTORY}/vmlinux"

Log = Callable[..., None]


def make(
    settings: Settings,
    sensor: EventSource,
    source: BtfSource,
    procfs: str,
    run_directory: str,
    acquired: contextlib.ExitStack,
    log: Log,
    alive: Callable[[], None],
    pins: Optional[Pins] = None,
) -> PolicyLoader:
    """A loader whose programs write into the sensor's buffer; `acquired` gives it back.

    `alive` is called at each step: the search for types, and what the kernel verifies, take long.

    Raises PolicyLoadError where the sensor has no eBPF or the small programs, LayoutError, OSError.
    """
    if not isinstance(sensor, BaseSource):
        raise PolicyLoadError(
            "policies need eBPF, and this agent watches through the process connector: the log says"
            " why, at its start"
        )
    if sensor.is_small:
        raise PolicyLoadError(
            "policies need large BPF programs (Linux 5.3), and this agent uses small ones: the log"
            " says why, at its start"
        )
    alive()
    search = _search(settings, sensor, log, alive)
    structures = _structures(settings, search, source, log)
    path = acquired.enter_context(custom_btf.custom_path(structures.data, run_directory))
    sensor.hooks.ancestors = _with_ancestors(settings.enable_ancestors)
    programs = sensor.policy_programs(path)
    programs.alive = alive
    programs.link_kinds.one_by_one = settings.disable_kprobe_multi
    sensor.hooks.shows_addresses = settings.expose_stack_addresses
    sensor.hooks.allows_requests = settings.allow_policy_requests
    acquired.callback(programs.close)
    programs.workloads.procfs = procfs or "/proc"
    if not settings.enable_container_names:
        programs.workloads.refused = (
            "selectors of pods and containers need --enable-container-names"
        )
    host = Host(os.uname().machine, _namespaces(procfs or "/proc"))
    lineage = Lineage(programs, procfs or "/proc")
    acquired.callback(lineage.close)
    types = _Types(search, source)
    loader = PolicyLoader(programs, sensor.hooks, host, lineage, types.get, structures, pins)
    loader.forget_types = types.forget
    return loader


def _search(settings: Settings, sensor: BaseSource, log: Log, alive: Callable[[], None]) -> Search:
    """The search for types of the programs of policies, beside those of the base sensor."""
    base, policies = OBJECTS[0], objects.OBJECTS[not sensor.uses_ring]

    def report(_level: str, text: str, **fields: Any) -> None:
        alive()
        log("debug", text, **fields)

    search = btf.search(settings, report)
    search = search._replace(
        read_objects=lambda: [bundle.read(base), objects.read(policies)], proven_only=True
    )
    # What is prepared for a comparison is forked, which a process with threads had better not be.
    return search if threading.active_count() == 1 else search._replace(open_prober=None)


def _structures(settings: Settings, search: Search, source: BtfSource, log: Log) -> Structures:
    """What is known of the structures that the programs of policies read.

    Raises PolicyUnsupportedError where nothing is.
    """
    if source.data is None:
        return Structures()
    # Imported late: with what they import they are a fifth of all that policies need.
    from tetrapy.abi.core_queries import CoreQueries
    from tetrapy.btf import more

    try:
        found = more.more(search, settings.btf)
    except BtfNotFoundError as err:
        raise PolicyUnsupportedError(f"this kernel has no BTF, and for policies {err}") from err
    assert found.data is not None, found
    queries = CoreQueries(list(search.read_objects())[1:])
    structures = Structures.of(queries, queries.answers(Btf(found.data)), found.description)
    unknown = ", ".join(sorted({GROUPS[name].about for name in structures.unknown}))
    log("info", "Types for policies", btf=found.description, unknown=unknown or "none")
    return structures


def _with_ancestors(kinds: Sequence[str]) -> FrozenSet[str]:
    """The types of events that show ancestors, which are kept with those of execs only."""
    return frozenset(_TYPES[kind] for kind in kinds if kind in _TYPES and "base" in kinds)


def _namespaces(procfs: str) -> Dict[str, int]:
    return dict(zip(names.NAMESPACES, host_namespaces(procfs)))


def _module_types(name: str) -> bytes:
    """The BTF of a module. Raises PolicyUnsupportedError where the kernel shows none."""
    path = os.path.join(_BTF_DIRECTORY, name)
    try:
        if os.path.dirname(path) != _BTF_DIRECTORY:
            raise PolicyUnsupportedError(f"btfTypeModule: {name!r} is no name of a module")
        with open(path, "rb") as file:
            return file.read()
    except OSError as err:
        raise PolicyUnsupportedError(
            f"btfTypeModule: {path}: {err.strerror}; is the module loaded?"
        ) from err


class _Types:
    """The kernel's types, read when a policy first asks for them: 20 MB and more."""

    def __init__(self, search: Search, source: BtfSource) -> None:
        self._search = search
        self._source = source
        self._types: Optional[KernelTypes] = None

    def get(self) -> KernelTypes:
        """Raises PolicyUnsupportedError where only a part of the types is known."""
        if self._types is None:
            own = self._source.data is None
            self._types = KernelTypes(Btf(self._data()), _module_types if own else None)
        return self._types

    def forget(self) -> None:
        """Give them back, until a policy asks again."""
        self._types = None

    def _data(self) -> bytes:
        source = self._source
        try:
            if source.data is None:
                with open(_KERNEL_BTF, "rb") as file:
                    return file.read()
            from tetrapy.btf import more

            found = more.whole(self._search, source)
        except OSError as err:
            raise PolicyUnsupportedError(f"resolve: {err.filename}: {err.strerror}") from err
        except TetrapyError as err:
            raise PolicyUnsupportedError(f"resolve: {err}") from err
        if found is None:
            raise PolicyUnsupportedError(
                "resolve needs all types of the kernel: this one has no BTF, and a part of its"
                f" types is {source.description}; name a BTF file with --btf, or add it with"
                " `tetrapy btf add`"
            )
        return found
