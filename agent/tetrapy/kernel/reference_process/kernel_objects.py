# SPDX-License-Identifier: Apache-2.0
"""A BPF map, a BPF program and a perf event that the prepared process holds.

They have unusual sizes, and are used for nothing.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Tuple

from tetrapy.kernel import sys_calls
from tetrapy.kernel.reference_process.plan import Plan
from tetrapy.named import NamedTuple

# include/uapi/linux/bpf.h
_MAP_CREATE, _PROG_LOAD = 0, 5
_LPM_TRIE, _NO_PREALLOC = 11, 1
_RAW_TRACEPOINT = 17
_NAME = 16
# map_type, key_size, value_size, max_entries, map_flags, inner_map_fd, numa_node, map_name
_MAP = struct.Struct(f"=7I{_NAME}s")
# prog_type, insn_cnt, insns, license, log_level, log_size, log_buf, kern_version, prog_flags,
# prog_name
_PROGRAM = struct.Struct(f"=2I2Q2IQ2I{_NAME}s")
_ZERO, _EXIT = struct.pack("=BBhi", 0xB7, 0, 0, 0), struct.pack("=BBhi", 0x95, 0, 0, 0)  # r0 = 0

# include/uapi/linux/perf_event.h: type, size, config, sample_period, sample_type, read_format,
# flags, wakeup_events, bp_type, config1
_EVENT = struct.Struct("=2I5Q2IQ")
_SOFTWARE, _DUMMY = 1, 9
_DISABLED, _USER_ONLY = 1, 1 << 5 | 1 << 6  # exclude_kernel, exclude_hv
_SHOWN = 24  # bytes of it that are compared
_CLOEXEC = 8


class OpenMap(NamedTuple):
    """A BPF map, by the number of its descriptor."""

    number: int
    type: int
    key_size: int
    value_size: int
    max_entries: int
    name: str


class OpenProgram(NamedTuple):
    """A BPF program, by the number of its descriptor; `length` counts instructions."""

    number: int
    type: int
    length: int
    name: str


class OpenEvent(NamedTuple):
    """A perf event, by the number of its descriptor; how its struct perf_event_attr begins."""

    number: int
    attributes: str  # hexadecimal digits


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return sys_calls.call("bpf", command, ctypes.addressof(buffer), len(attributes))


def open_map(plan: Plan) -> OpenMap:
    """Make a BPF map in the calling process. Raises OSError."""
    sizes = (_LPM_TRIE, *plan.map_sizes)
    name = f"tetrapy_{plan.port}"
    number = _bpf(_MAP_CREATE, _MAP.pack(*sizes, _NO_PREALLOC, 0, 0, name.encode()))
    return OpenMap(number, *sizes, name)


def open_program(plan: Plan) -> OpenProgram:
    """Load a BPF program in the calling process. Raises OSError."""
    length, name = plan.instructions, f"tetrapy_{plan.port + 1}"
    code = ctypes.create_string_buffer(_ZERO * (length - 1) + _EXIT, 8 * length)
    license_ = ctypes.create_string_buffer(b"GPL")
    places: Tuple[int, int] = (ctypes.addressof(code), ctypes.addressof(license_))
    number = _bpf(
        _PROG_LOAD,
        _PROGRAM.pack(_RAW_TRACEPOINT, length, *places, 0, 0, 0, 0, 0, name.encode()),
    )
    return OpenProgram(number, _RAW_TRACEPOINT, length, name)


def open_event(plan: Plan) -> OpenEvent:
    """Open a perf event in the calling process. Raises OSError."""
    period, flags = plan.mark << 8 | 1, _DISABLED | _USER_ONLY
    packed = _EVENT.pack(_SOFTWARE, _EVENT.size, _DUMMY, period, 0, 0, flags, 0, 0, 0)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    address = ctypes.addressof(buffer)
    number = sys_calls.call("perf_event_open", address, 0, -1, -1, _CLOEXEC)
    return OpenEvent(number, packed[:_SHOWN].hex())
