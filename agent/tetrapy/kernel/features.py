# SPDX-License-Identifier: Apache-2.0
"""What the running kernel can do, found out by asking it, never by its version.

The version says only which kernels have a feature, for an operator who lacks it.
"""

from __future__ import annotations

import errno
import mmap
import os
from struct import Struct
from typing import Iterable, Optional, Tuple, Union

from tetrapy.errors import KernelError, UnsupportedFeatureError
from tetrapy.kernel.libbpf import libbpf
from tetrapy.kernel.maps import ARRAY, create_map
from tetrapy.named import NamedTuple

_PROG_RAW_TRACEPOINT = 17  # enum bpf_prog_type


class Feature(NamedTuple):
    """A part of BPF that kernels have since a version of Linux: numbers of the kernel's enums."""

    name: str
    since: str  # the first version of Linux
    program_type: int = 0  # enum bpf_prog_type
    map_type: int = 0  # enum bpf_map_type
    helper: int = 0  # enum bpf_func_id, for programs of `program_type`
    option: str = ""  # what a kernel may be built without
    map_flags: int = 0  # of arrays
    instructions: bytes = b""  # a program of `program_type`

    @property
    def is_there(self) -> bool:
        """Whether the kernel has it. An answer that the kernel refuses to give counts as no; of
        flags and instructions as yes: what is refused for want of rights or memory may be known.
        """
        library = libbpf()
        if self.map_flags:
            return _creates_array(self.map_flags)
        if self.instructions:
            return _loads(self.program_type, self.instructions)
        if self.helper:
            answer = library.libbpf_probe_bpf_helper(self.program_type, self.helper, None)
        elif self.map_type:
            answer = library.libbpf_probe_bpf_map_type(self.map_type, None)
        else:
            answer = library.libbpf_probe_bpf_prog_type(self.program_type, None)
        return bool(answer == 1)


RAW_TRACEPOINTS = Feature(
    "BPF programs of raw tracepoints", "4.17", _PROG_RAW_TRACEPOINT, option="CONFIG_BPF_EVENTS"
)
# BPF_F_RDONLY_PROG, which libbpf asks for .rodata.
GLOBAL_DATA = Feature("global data in BPF programs", "5.2", map_flags=1 << 7)
# r0 = 0; do r0 += 1; while (r0 < 8); exit: instructions of include/uapi/linux/bpf.h.
_TURNS = (0xB7, 0, 0, 0), (0x07, 0, 0, 1), (0xA5, 0, -2, 8), (0x95, 0, 0, 0)
BOUNDED_LOOPS = Feature(
    "loops in BPF programs",
    "5.3",
    _PROG_RAW_TRACEPOINT,
    instructions=b"".join(Struct("=BBhi").pack(*turn) for turn in _TURNS),
)
RING_BUFFER = Feature("BPF ring buffers", "5.8", map_type=27)
LOOPS = Feature("bpf_loop()", "5.17", _PROG_RAW_TRACEPOINT, helper=181)
BOOT_CLOCK = Feature("bpf_ktime_get_boot_ns()", "5.8", _PROG_RAW_TRACEPOINT, helper=125)
_PROG_KPROBE = 2
ATTACH_COOKIE = Feature("cookies of BPF links", "5.15", _PROG_KPROBE, helper=174)
_PROG_TRACING, _PROG_LSM = 26, 29
FENTRY = Feature("BPF programs at the beginning of functions (fentry)", "5.5", _PROG_TRACING)
LSM_PROGRAMS = Feature("BPF programs of security modules", "5.7", _PROG_LSM)
OVERRIDE_RETURN = Feature("bpf_override_return()", "4.16", _PROG_KPROBE, helper=58)
WRITE_USER = Feature("bpf_probe_write_user()", "4.8", _PROG_KPROBE, helper=36)
KPROBES = Feature("BPF programs of kprobes", "4.1", _PROG_KPROBE)

SMALL_FLAVOUR: Tuple[Feature, ...] = (RAW_TRACEPOINTS,)
PERF_FLAVOUR: Tuple[Feature, ...] = (RAW_TRACEPOINTS, GLOBAL_DATA, BOUNDED_LOOPS)
RING_FLAVOUR: Tuple[Feature, ...] = (RAW_TRACEPOINTS, RING_BUFFER, BOOT_CLOCK)
"""What each flavour of the base object needs that an older kernel may lack."""

_KERNELS_BTF = "/sys/kernel/btf/vmlinux"
# Tracepoints call their programs under the guard srcu_fast_notrace of tracepoint_srcu, and not with
# preemption off. Older kernels have that structure for another use, or the guard not at all.
_PREEMPTIBLE = (b"class_srcu_fast_notrace_t", b"tracepoint_srcu_srcu_data")
_KALLSYMS = "/proc/kallsyms"
# Only kernels that have fast guards have this function, and tracepoints use them since soon after.
_FAST_GUARDS = b"init_srcu_struct_fast"
_BLOCK = 1 << 18


def has_ring_buffer() -> bool:
    """Whether the ring buffer's flavour of the base object can run."""
    return RING_BUFFER.is_there and BOOT_CLOCK.is_there


def takes_large_programs() -> bool:
    """Whether the perf buffer's flavour can run, and not only the one with small programs."""
    return GLOBAL_DATA.is_there and BOUNDED_LOOPS.is_there


def require(features: Iterable[Feature]) -> None:
    """Raise UnsupportedFeatureError for the first feature that the kernel does not have."""
    for one in features:
        if not one.is_there:
            raise UnsupportedFeatureError(one.name, one.since, option=one.option)


def _creates_array(flags: int) -> bool:
    try:
        os.close(create_map(ARRAY, "tetrapy_probe", (4, 4), 1, flags))
    except KernelError as err:
        return err.errno != errno.EINVAL
    return True


def _loads(program_type: int, instructions: bytes) -> bool:
    count = len(instructions) // 8
    fd = libbpf().bpf_prog_load(program_type, b"tetrapy_probe", b"GPL", instructions, count, None)
    if fd >= 0:
        os.close(fd)
    return bool(fd != -errno.EINVAL)


def preempts_programs(
    types: Optional[bytes] = None,
    kernels_btf: str = _KERNELS_BTF,
    kallsyms: str = _KALLSYMS,
) -> bool:
    """Whether a task may be preempted in a tracepoint's program, which is skipped then for others.

    The kernel's BTF tells it. Where it has none, `types` may, other BTF of this kernel, and else
    its symbols do, which say yes to some kernels too that only could do so. Where nothing is known
    it is taken for untrue.
    """
    try:
        file = open(kernels_btf, "rb")  # noqa: SIM115 - closed below
    except OSError:
        return (types is not None and _has_names(types)) or _has_symbol(kallsyms, _FAST_GUARDS)
    # Linux 6.16 and later let it be mapped, and what is asked for came after that. Only mapped it
    # costs next to nothing: files in sysfs are read by the page.
    with file:
        try:
            mapped = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
        except (OSError, ValueError):
            return False
        with mapped:
            return _has_names(mapped)


def _has_symbol(kallsyms: str, name: bytes) -> bool:
    """Whether the kernel itself has a symbol: `address type name` in a line."""
    wanted = b" " + name + b"\n"
    rest = b""
    try:
        with open(kallsyms, "rb", buffering=0) as file:
            while True:
                block = file.read(_BLOCK)
                if not block:
                    return False
                if wanted in rest + block:
                    return True
                rest = block[-len(wanted) :]
    except OSError:
        return False


def _has_names(types: Union[bytes, mmap.mmap]) -> bool:
    return all(_has_name(types, name) for name in _PREEMPTIBLE)


def _has_name(types: Union[bytes, mmap.mmap], name: bytes) -> bool:
    """Whether BTF has a string; each is between two zeros."""
    at = types.find(name + b"\0")
    while at > 0 and types[at - 1 : at] != b"\0":
        at = types.find(name + b"\0", at + 1)
    return at > 0
