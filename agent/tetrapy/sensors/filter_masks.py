# SPDX-License-Identifier: Apache-2.0
"""Export filters in the kernel: what they say of binaries, cgroups and pids (bpf/filter_masks.h).

The kernel asks maps. Here the filters are asked, once for each binary and cgroup that shows up, and
the answers are put into the maps; so any expression works, and only repetition is saved.
"""

from __future__ import annotations

from struct import Struct
from typing import Dict, FrozenSet, Iterable, Protocol, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.abi.layout import enum_values, struct_layout, unpacker
from tetrapy.events.process import Process
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.maps import BpfMap

BINARIES = 4096  # distinct binaries whose masks the kernel remembers, the latest used
CGROUPS = 4096
PATHS = 2048  # processes that are suppressed and may still fork
_REMEMBERED = 16384

_MASK = Struct("=Q")
_MASKS = Struct("=QQ")
_PID = Struct("=I")


class KernelFilters(Protocol):
    """The part of the export filters that can be decided by masks, a bit for each filter.

    Events of a process are unwanted if all masks that hold for it, joined by `and`, have one of
    `deny_bits`, or none of `allow_bits` while there are any.
    """

    @property
    def deny_bits(self) -> int:
        """Bits of the filters that deny."""

    @property
    def allow_bits(self) -> int:
        """Bits of the filters that allow; 0 if the kernel is not to ask them."""

    @property
    def bits(self) -> int:
        """The bits of all filters."""

    @property
    def pids(self) -> FrozenSet[int]:
        """Pids that filters name."""

    @property
    def pid_default(self) -> int:
        """The mask of all other pids."""

    @property
    def unknown_parent(self) -> int:
        """The mask of a parent whose binary is not known."""

    @property
    def no_container_condition(self) -> int:
        """The filters that do not ask for the container."""

    def pid_mask(self, pid: int) -> int:
        """The filters whose condition on the pid holds."""

    def binary_masks(self, path: str) -> Tuple[int, int]:
        """The filters whose condition on the binary holds, and on that of the parent."""

    def container_mask(self, docker: str) -> int:
        """The filters whose condition on the container holds."""

    def drops(self, mask: int) -> bool:
        """Whether a process with this mask is unwanted."""


def asks_for_containers(filters: KernelFilters) -> bool:
    """Whether a filter has a condition on the container."""
    return filters.no_container_condition != filters.bits


class FilterMasks:
    """Answers for the kernel."""

    def __init__(self, filters: KernelFilters, btf: Btf, loaded: BpfObject) -> None:
        """`loaded` is the object with the maps, of which `btf` is the BTF."""
        self._filters = filters
        self._asks_for_containers = asks_for_containers(filters)
        self._path_size = enum_values(btf, "event_limit")["MASKS_PATH"]
        self._binaries = BpfMap(
            loaded.map_fd("binary_masks"), self._path_size, struct_layout(btf, "filter_masks").size
        )
        self._cgroups = BpfMap(loaded.map_fd("cgroup_masks"), _MASK.size, _MASK.size)
        layout = struct_layout(btf, "process")
        self._processes = BpfMap(loaded.map_fd("processes"), _PID.size, layout.size)
        self._entry = unpacker(layout, ("start", "parent_mask", "state"))
        self._masked = enum_values(btf, "process_state")["PROCESS_MASKED"]
        self._known: Dict[bytes, bool] = {}  # path -> whether the kernel may suppress it
        self._containers: Dict[int, None] = {}
        pids = BpfMap(loaded.map_fd("pid_masks"), _PID.size, _MASK.size)
        for pid in filters.pids:
            pids.put(_PID.pack(pid), _MASK.pack(filters.pid_mask(pid)))

    def seed(self, processes: Iterable[Process]) -> None:
        """Tell the kernel of the processes that it did not see begin: they may be parents."""
        for process in processes:
            if process.pid:
                # Of one that is not what it says, nothing is known that a deny could go by.
                mask = self._filters.unknown_parent
                if process.executed is None:
                    mask = self._filters.binary_masks(process.binary)[1]
                entry = self._entry.pack(process.start, mask, self._masked)
                self._processes.put_new(_PID.pack(process.pid), entry)

    def learn(self, path: bytes, cgroup_id: int, process: Process) -> None:
        """Answer for the binary and the cgroup of an exec that the kernel did not suppress."""
        unwanted = self._known.get(path)
        # The kernel forgets what it did not use for long; then its exec is sent again.
        if (unwanted is None or unwanted) and path[:1] == b"/" and len(path) < self._path_size - 1:
            self._answer(path, process.binary)
        if self._asks_for_containers and cgroup_id not in self._containers:
            if len(self._containers) >= CGROUPS:
                self._containers.clear()
            self._containers[cgroup_id] = None
            mask = self._filters.container_mask(process.docker)
            self._cgroups.put(_MASK.pack(cgroup_id), _MASK.pack(mask))

    def clear(self) -> None:
        """Take all answers back: what has none is sent."""
        self._known.clear()
        for path in list(self._binaries):
            self._binaries.delete(path)

    def _answer(self, path: bytes, binary: str) -> None:
        filters = self._filters
        own, parent = filters.binary_masks(binary)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[path] = filters.drops(own)
        self._binaries.put(path.ljust(self._path_size, b"\0"), _MASKS.pack(own, parent))
