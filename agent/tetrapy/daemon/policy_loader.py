# SPDX-License-Identifier: Apache-2.0
"""The loader of tracing policies, with what it needs to know of this host."""

from __future__ import annotations

import contextlib
import os
from typing import Dict, FrozenSet, Mapping, Optional, Sequence

from tetrapy.abi.btf import Btf
from tetrapy.btf import custom_btf
from tetrapy.btf.source import KIND_ARCHIVE, KIND_INFERRED, KIND_SCANNED, BtfSource
from tetrapy.config.settings import Settings
from tetrapy.errors import PolicyUnsupportedError
from tetrapy.events.calls import ProcessKprobe, ProcessTracepoint, ProcessUprobe
from tetrapy.policy import names
from tetrapy.process.procfs import host_namespaces
from tetrapy.sensors.base import BaseSource
from tetrapy.sensors.policy.compiler import Host
from tetrapy.sensors.policy.loader import PolicyLoader, PolicyLoadError
from tetrapy.sensors.policy.member_path import KernelTypes
from tetrapy.sensors.source import EventSource

# What enable-ancestors calls events -> their type.
_TYPES: Mapping[str, str] = {
    "kprobe": ProcessKprobe.type,
    "tracepoint": ProcessTracepoint.type,
    "uprobe": ProcessUprobe.type,
}
_KERNEL_BTF = "/sys/kernel/btf/vmlinux"
_MINIMIZED = frozenset({KIND_ARCHIVE, KIND_INFERRED, KIND_SCANNED})


def make(
    settings: Settings,
    sensor: EventSource,
    source: BtfSource,
    procfs: str,
    run_directory: str,
    acquired: contextlib.ExitStack,
) -> PolicyLoader:
    """A loader whose programs write into the sensor's buffer; `acquired` gives it back.

    Raises PolicyLoadError where the sensor has no eBPF, LayoutError, OSError.
    """
    if not isinstance(sensor, BaseSource):
        raise PolicyLoadError(
            "policies need eBPF, and this agent watches through the process connector: the log says"
            " why, at its start"
        )
    path = acquired.enter_context(custom_btf.custom_path(source, run_directory))
    programs = sensor.policy_programs(path)
    sensor.hooks.ancestors = _with_ancestors(settings.enable_ancestors)
    acquired.callback(programs.close)
    host = Host(os.uname().machine, _namespaces(procfs or "/proc"))
    partial = source.description if source.kind in _MINIMIZED else ""
    return PolicyLoader(programs, sensor.hooks, host, _Types(source).get, partial)


def _with_ancestors(kinds: Sequence[str]) -> FrozenSet[str]:
    """The types of events that show ancestors, which are kept with those of execs only."""
    return frozenset(_TYPES[kind] for kind in kinds if kind in _TYPES and "base" in kinds)


def _namespaces(procfs: str) -> Dict[str, int]:
    return dict(zip(names.NAMESPACES, host_namespaces(procfs)))


class _Types:
    """The kernel's types, read when a policy first asks for them."""

    def __init__(self, source: BtfSource) -> None:
        self._source = source
        self._types: Optional[KernelTypes] = None

    def get(self) -> KernelTypes:
        """Raises PolicyUnsupportedError where only a part of the types is known."""
        if self._types is None:
            self._types = KernelTypes(Btf(self._data()))
        return self._types

    def _data(self) -> bytes:
        source = self._source
        if source.kind in _MINIMIZED:
            raise PolicyUnsupportedError(
                f"resolve needs all types of the kernel, and these are a part ({source.kind}): name"
                " a BTF file with --btf, or add it with `tetrapy btf add`"
            )
        if source.data is not None:
            return source.data
        try:
            with open(_KERNEL_BTF, "rb") as file:
                return file.read()
        except OSError as err:
            raise PolicyUnsupportedError(f"resolve: {_KERNEL_BTF}: {err.strerror}") from err
