# SPDX-License-Identifier: Apache-2.0
"""The kernel that a policy is held against: the running one, one in a file, one that is known.

A full BTF has all functions and types. The archive that tetrapy.pyz carries has of each kernel only
where the members lie that the agent reads itself: it can confirm a path of `resolve`, and nothing
else. A vmlinux with symbols also tells which functions have no types.
"""

from __future__ import annotations

import os
from typing import Collection, FrozenSet, List, Optional, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.elf import STT_FUNC, Elf, FileBytes
from tetrapy.abi.tracepoint_format import Field, parse_format
from tetrapy.btf.btf_file import read_btf
from tetrapy.btf.btf_paths import KERNEL_BTF, LIBBPF_PLACES, inspect
from tetrapy.btf.store import LocalStore, host_of
from tetrapy.cli.policy.prototypes import Prototype, function
from tetrapy.errors import FormatError, KernelError, SettingsError, TetrapyError
from tetrapy.policy.functions import MACHINES
from tetrapy.visible import printable

RUNNING = "running"
_OWN_BTF = "/" + KERNEL_BTF
_ELF = b"\x7fELF"
_GNU_IFUNC = 10
_COMMON_FIELDS = 4  # of each tracepoint's record: type, flags, preempt count, pid
_RECORD, _PROBE, _LSM = "trace_event_raw_", "btf_trace_", "bpf_lsm_"
# Machine (as uname tells it) -> the first of its system calls' functions that any kernel has.
_SYSTEM_CALL = {"x86_64": "__x64_sys_close", "aarch64": "__arm64_sys_close"}
_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}


class Kernel:
    """What is known of a kernel; None is the answer to what is not known."""

    def __init__(
        self,
        name: str,
        origin: str,
        btf: Btf,
        machine: str,
        *,
        symbols: Optional[FrozenSet[str]] = None,
        is_partial: bool = False,
        is_running: bool = False,
    ) -> None:
        """`symbols` are all functions of the kernel itself, where they are known besides BTF."""
        self.name = name
        self.origin = origin
        self.btf = btf
        self.machine = machine
        self.is_partial = is_partial
        self.is_running = is_running
        self._symbols = symbols

    def prototype(self, name: str) -> Optional[Prototype]:
        """The prototype of a function of the kernel; None where it has no types."""
        return function(self.btf, name)

    def has_function(self, name: str) -> Optional[bool]:
        """Whether there is a function, typed or not; of modules only the running kernel tells."""
        if not self.is_partial and self.btf.find(name, k.KIND_FUNC) is not None:
            return True
        if self.is_running:
            return name in _running_functions([name])
        if self.is_partial:
            return None
        return None if self._symbols is None else name in self._symbols

    def lacks(self, *functions: str) -> bool:
        """Whether the kernel has surely none of some functions, which stand for a feature."""
        return not self.is_partial and all(
            self.btf.find(one, k.KIND_FUNC) is None for one in functions
        )

    def has_enumerator(self, enum: str, name: str) -> Optional[bool]:
        """Whether an enumeration of the kernel has a member."""
        found = self.btf.find(enum, k.KIND_ENUM)
        if found is None or self.is_partial:
            return None
        return any(word == name for word, _ in self.btf.enumerators(found))

    def lacks_member(self, structure: str, name: str) -> bool:
        """Whether the kernel has surely no such member of a structure that it has."""
        found = self.btf.find(structure, k.KIND_STRUCT)
        return (
            not self.is_partial
            and found is not None
            and all(one.name != name for one in self.btf.members(found))
        )

    def functions(self) -> List[str]:
        """All functions that BTF has, which are those that ftrace can trace, but for a few."""
        return [one.name for one in self.btf if one.kind == k.KIND_FUNC]

    def lsm_hook(self, hook: str) -> Optional[Prototype]:
        """What a hook of the security modules is called with."""
        return self.prototype(_LSM + hook)

    def has_tracepoint(self, event: str) -> Optional[bool]:
        """Whether there is a tracepoint; the name of its subsystem is not in BTF."""
        if self.is_partial:
            return None
        return self.btf.find(_PROBE + event, k.KIND_TYPEDEF) is not None

    def raw_arguments(self, event: str) -> Optional[Prototype]:
        """What a raw tracepoint hands over."""
        found = self.btf.find(_PROBE + event, k.KIND_TYPEDEF)
        if found is None:
            return None
        kind = self.btf.resolve(self.btf.resolve(found.id).ref)
        return Prototype(tuple(self.btf.parameters(kind)[1:]))

    def fields(self, subsystem: str, event: str) -> Optional[Tuple[Field, ...]]:
        """The fields of a tracepoint's record, as its format lists them; types as in C, about."""
        if self.is_running:
            form = _running_format(subsystem, event)
            if form is not None:
                return form
        found = self.btf.find(_RECORD + event, k.KIND_STRUCT)
        if found is None or self.is_partial:
            return None
        common = [
            Field(f"common_{at}", "int", 0, 4, is_signed=True) for at in range(_COMMON_FIELDS)
        ]
        own = [
            Field(one.name, "", one.bit_offset // 8, self._size(one.type_id), is_signed=True)
            for one in self.btf.members(found)
            if one.name not in {"ent", "__data"}
        ]
        return (*common, *own)

    def _size(self, type_id: int) -> int:
        found = self.btf.resolve(type_id)
        return 0 if found.kind == k.KIND_FUNC_PROTO else self.btf.size_of(found.id)


def kernel_of(name: str) -> Kernel:
    """The kernel that `--kernel` names: running, a file, a release, or a name of the archive.

    Raises SettingsError with what was tried.
    """
    if name == RUNNING or (name == os.uname().release and os.path.exists(_OWN_BTF)):
        return _running()
    if os.path.exists(name):
        base = os.path.basename(name)
        return _from_file(name, name if base == "vmlinux" else base)
    return _released(name)


def _running() -> Kernel:
    release = os.uname().release
    if inspect(_OWN_BTF):
        return _released(release, is_running=True)
    kernel = _from_file(_OWN_BTF, release)
    kernel.is_running = True
    return kernel


def _from_file(path: str, name: str) -> Kernel:
    try:
        btf = Btf(read_btf(path))
        symbols = _symbols(path)
    except OSError as err:
        raise SettingsError(f"kernel {printable(path)}: {(err.strerror or str(err))}") from err
    except (FormatError, TetrapyError) as err:
        raise SettingsError(f"kernel {printable(path)}: {err}") from err
    return Kernel(printable(name), printable(path), btf, _machine(btf, path), symbols=symbols)


def _symbols(path: str) -> Optional[FrozenSet[str]]:
    """The functions that a vmlinux with a table of symbols has. Raises ElfError, OSError."""
    with open(path, "rb") as file:
        content = FileBytes(file.fileno())
        if not os.path.isfile(path) or content[0:4] != _ELF:
            return None
        kinds = (STT_FUNC, _GNU_IFUNC)
        found = frozenset(one.name for one in Elf(content).symbols() if one.type in kinds)
    return found or None


def _machine(btf: Btf, path: str) -> str:
    for machine, call in _SYSTEM_CALL.items():
        if btf.find(call, k.KIND_FUNC) is not None:
            return machine
    raise SettingsError(
        f"kernel {printable(path)}: its BTF has the functions of no kernel for x86_64 or arm64: it"
        " is a part of one, or a module's; a full BTF is what /sys/kernel/btf/vmlinux has there"
    )


def _released(release: str, *, is_running: bool = False) -> Kernel:
    for place in LIBBPF_PLACES:
        path = "/" + place.format(release)
        if "/" not in release and not inspect(path):
            return _from_file(path, release)
    stored = _stored(release)
    if stored is not None:
        return stored
    archived = _archived(release)
    if archived is not None:
        archived.is_running = is_running
        return archived
    raise SettingsError(
        f"kernel {printable(release)} is no file, and nothing is known of such a release: neither"
        " a vmlinux in the usual places nor `tetrapy btf list` has it; give the file of a full BTF,"
        " which is /sys/kernel/btf/vmlinux where that kernel runs"
    )


def _stored(release: str) -> Optional[Kernel]:
    """Out of what `tetrapy btf add` keeps, full BTFs."""
    from tetrapy.cli.btf.known_kernels import matching

    store = LocalStore()
    try:
        for key in matching(release, store.keys()):
            data = store.read(host_of(key))
            if data is not None:
                btf = Btf(data)
                return Kernel(release, store.path(host_of(key)), btf, _machine(btf, key))
    except TetrapyError as err:
        raise SettingsError(f"kernel {printable(release)}: {err}") from err
    return None


def _archived(release: str) -> Optional[Kernel]:
    """Out of the archive in tetrapy.pyz, which has a part of each kernel's types."""
    from tetrapy.abi.core_minimal import minimal_btf
    from tetrapy.cli.btf.known_kernels import Knowledge, matching

    known = Knowledge()
    try:
        keys = matching(release, list(known.archive.kernels))
        if not keys:
            return None
        answers = known.archive.layouts[known.archive.kernels[keys[0]]]
        btf = Btf(minimal_btf(known.queries, answers))
    except TetrapyError as err:
        raise SettingsError(f"kernel {printable(release)}: {err}") from err
    machine = _MACHINES[keys[0].split("/")[2]]
    assert machine in MACHINES
    return Kernel(keys[0], "the archive of this tetrapy", btf, machine, is_partial=True)


def _running_functions(names: Collection[str]) -> FrozenSet[str]:
    from tetrapy.kernel.symbols import Symbols
    from tetrapy.kernel.tracefs import KernelFiles

    try:
        return Symbols(KernelFiles()).functions(names)
    except KernelError:
        return frozenset()


def _running_format(subsystem: str, event: str) -> Optional[Tuple[Field, ...]]:
    """None where there is no such tracepoint, or the format may be read by root only."""
    from tetrapy.kernel.tracefs import KernelFiles

    if "/" in subsystem + event or ".." in (subsystem, event):
        return None
    files = KernelFiles()
    try:
        data = files.tracing(f"events/{subsystem}/{event}/format")
        return parse_format(data.decode("utf-8", "replace")).fields
    except (OSError, TetrapyError):
        return None
    finally:
        files.close()
