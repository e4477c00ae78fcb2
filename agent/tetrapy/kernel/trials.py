# SPDX-License-Identifier: Apache-2.0
"""Features of BPF that only a trial tells: a program that does nothing is loaded, and attached.

Each trial answers one of the keys of `tetrapy probe`; what is attached is detached at once, and
changes nothing while it is there. bpf(2) is called as it is: a refusal is an answer, not an error.
"""

from __future__ import annotations

import ctypes
import errno
import os
from contextlib import ExitStack
from struct import Struct
from typing import Callable, Dict

from tetrapy.errors import KernelError
from tetrapy.kernel import sys_calls
from tetrapy.kernel.features import Feature
from tetrapy.kernel.kernel_btf import KernelBtf
from tetrapy.kernel.tracefs import KernelFiles

# enum bpf_cmd, bpf_prog_type, bpf_attach_type, bpf_map_type (include/uapi/linux/bpf.h)
_MAP_CREATE, _MAP_UPDATE, _PROG_LOAD, _OBJ_PIN, _RAW_TRACEPOINT_OPEN = 0, 2, 5, 6, 17
_MAP_UPDATE_BATCH, _LINK_CREATE = 26, 28
_KPROBE, _RAW_TRACEPOINT, _TRACING, _LSM = 2, 17, 26, 29
_FENTRY, _FEXIT, _MODIFY_RETURN, _LSM_MAC = 24, 25, 26, 27
_PERF_EVENT, _KPROBE_MULTI, _UPROBE_MULTI = 41, 42, 48
_HASH, _PROGRAM_ARRAY = 1, 3

# Parts of union bpf_attr.
_LOAD = Struct("=IIQQIIQII16sIIIIQIIQII")
_MAP = Struct("=IIII")
_ELEMENT = Struct("=I4xQQQ")
_BATCH = Struct("=QQQQIIQQ")
_OPEN = Struct("=QI4x")
_KPROBE_LINK = Struct("=IIIIIIQQQ")
_UPROBE_LINK = Struct("=IIIIQQQQIIi4x")
_PERF_LINK = Struct("=IIIIQ")
# struct perf_event_attr, the first 112 bytes; Linux 5.12 knows the bit `build_id`.
_PERF = Struct("=IIQQQQQII56x")
_PERF_SOFTWARE, _PERF_BPF_OUTPUT, _PERF_SAMPLE_RAW, _PERF_CLOEXEC = 1, 10, 1 << 10, 8
_PERF_BITS = 1 << 8 | 1 << 14 | 1 << 23 | 1 << 34  # mmap, watermark, mmap2, build_id

_INSTRUCTION = Struct("=BBhi")
_LICENSE = b"Dual BSD/GPL\0"
_REFERENCE_COUNTER = "/sys/bus/event_source/devices/uprobe/format/ref_ctr_offset"
_KPROBES = "/sys/bus/event_source/devices/kprobe"
_LOGINUID = "/proc/self/loginuid"
_PREFIX = {"x86_64": "__x64_", "aarch64": "__arm64_"}


def _instruction(code: int, registers: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, registers, offset, value)


_ZERO = _instruction(0xB7)  # r0 = 0
_EXIT = _instruction(0x95)
_NOTHING = _ZERO + _EXIT
_CHANGE_REGISTER = _instruction(0x7A, 0x01, 0, 0xDEAD) + _NOTHING  # *(u64 *)r1 = ...
# r2 = r10 - 8; bpf_get_func_ret(r1, r2)
_GET_RETURN = (
    _instruction(0xBF, 0xA2)
    + _instruction(0x07, 0x02, 0, -8)
    + _instruction(0x85, 0, 0, 184)
    + _NOTHING
)


class Trials:
    """Asks the running kernel."""

    def __init__(self) -> None:
        self._types = KernelBtf()
        self._files = KernelFiles()
        machine = os.uname().machine
        self._getcpu = _PREFIX.get(machine, "") + "sys_getcpu"
        self.refused: Dict[str, str] = {}
        """Feature -> the kernel's words, where it refused the trial."""

    def all(self) -> Dict[str, bool]:
        """Each feature that Tetragon's client names, by its name, in its order."""
        return {name: self._works(name, trial) for name, trial in self._trials().items()}

    def has(self, name: str) -> bool:
        """One of them."""
        return self._works(name, self._trials()[name])

    def close(self) -> None:
        """Give back what was opened."""
        self._files.close()
        self._types.close()

    def _trials(self) -> Dict[str, Callable[[], bool]]:
        return {
            "override_return": lambda: _helper(58),
            "buildid": _build_id,
            "kprobe_multi": _kprobe_multi,
            "uprobe_multi": _uprobe_multi,
            "fmodret": lambda: self._attaches(_MODIFY_RETURN, "security_task_prctl"),
            "fmodret_syscall": lambda: self._attaches(_MODIFY_RETURN, self._getcpu),
            "signal": lambda: _helper(109),
            "large": lambda: _loads(_KPROBE, _ZERO * 4999 + _EXIT),  # before Linux 5.2: 4096
            "link_pin": _perf_link,
            "lsm": self._lsm,
            "missed_stats_kprobe_multi": lambda: self._link_info("kprobe_multi", "missed"),
            "missed_stats_kprobe": lambda: self._link_info("perf_event", "kprobe", "missed"),
            "batch_update": _batch_update,
            "uprobe_refctroff": lambda: os.path.exists(_REFERENCE_COUNTER),
            "audit_loginuid": lambda: os.path.exists(_LOGINUID),
            "probe_write_user": lambda: _helper(36),
            "uprobe_regs_change": lambda: _loads(_KPROBE, _CHANGE_REGISTER),
            "mix_bpf_and_tail_calls": _tail_call_beside_function,
            "fentry": lambda: self._attaches(_FENTRY, "security_task_prctl"),
            "get_func_ret": lambda: self._loads_at(_FEXIT, self._getcpu, _GET_RETURN),
            "substring_kfunc": lambda: self._types.prototype("bpf_strnstr") is not None,
            "copy_from_user_str": lambda: (
                self._types.prototype("bpf_copy_from_user_str") is not None
            ),
        }

    def security_file(self, name: str) -> str:
        """What a file of securityfs says. Raises KernelError, OSError."""
        return self._files.security(name).decode("ascii", "replace").strip()

    def _works(self, name: str, trial: Callable[[], bool]) -> bool:
        try:
            return trial()
        except OSError as err:
            self.refused[name] = os.strerror(err.errno or 0)
        except KernelError as err:
            self.refused[name] = str(err)
        return False

    def _lsm(self) -> bool:
        # Where the module is not at work, programs are loaded, and never called.
        return "bpf" in self.security_file("lsm").split(",") and self._attaches(
            _LSM_MAC, "bpf_lsm_file_open", _LSM
        )

    def _link_info(self, *path: str) -> bool:
        return self._types.has_member("bpf_link_info", *path)

    def _loads_at(self, how: int, function: str, instructions: bytes) -> bool:
        target = self._types.number(function)
        return target > 0 and _loads(_TRACING, instructions, how, target)

    def _attaches(self, how: int, function: str, kind: int = _TRACING) -> bool:
        target = self._types.number(function)
        if target <= 0:
            return False
        with ExitStack() as opened:
            program = _opened(opened, _load(kind, _NOTHING, how, target))
            _opened(opened, _bpf(_RAW_TRACEPOINT_OPEN, _OPEN.pack(0, program)))
        return True


def _opened(stack: ExitStack, fd: int) -> int:
    stack.callback(os.close, fd)
    return fd


def _bpf(command: int, attributes: bytes) -> int:
    """bpf(2); raises OSError."""
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return sys_calls.call("bpf", command, ctypes.addressof(buffer), len(attributes))


def _load(kind: int, instructions: bytes, attach_type: int = 0, target: int = 0) -> int:
    """The descriptor of a program. Raises OSError."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    license_ = ctypes.create_string_buffer(_LICENSE)
    addresses = ctypes.addressof(code), ctypes.addressof(license_)
    count = len(instructions) // _INSTRUCTION.size
    head = (kind, count, *addresses, 0, 0, 0, 0, 0, b"tetrapy_probe", 0, attach_type)
    return _bpf(_PROG_LOAD, _LOAD.pack(*head, 0, 0, 0, 0, 0, 0, 0, target))


def _loads(kind: int, instructions: bytes, attach_type: int = 0, target: int = 0) -> bool:
    os.close(_load(kind, instructions, attach_type, target))
    return True


def _helper(number: int) -> bool:
    return Feature("", "", _KPROBE, helper=number).is_there


def _build_id() -> bool:
    attributes = _PERF.pack(
        _PERF_SOFTWARE, _PERF.size, _PERF_BPF_OUTPUT, 0, _PERF_SAMPLE_RAW, 0, _PERF_BITS, 1, 0
    )
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    address = ctypes.addressof(buffer)
    os.close(sys_calls.call("perf_event_open", address, -1, 0, -1, _PERF_CLOEXEC))
    return True


def _kprobe_multi() -> bool:
    names = (ctypes.c_char_p * 1)(b"vprintk")
    with ExitStack() as opened:
        program = _opened(opened, _load(_KPROBE, _NOTHING, _KPROBE_MULTI))
        link = _KPROBE_LINK.pack(program, 0, _KPROBE_MULTI, 0, 0, 1, ctypes.addressof(names), 0, 0)
        _opened(opened, _bpf(_LINK_CREATE, link))
    return True


def has_multi_kprobes() -> bool:
    """Whether many kprobes can be attached at once: only kernels that can read where they would be.

    Here that cannot be read, so that nothing is attached: to find a function takes some kernels as
    long as a policy.
    """
    try:
        with ExitStack() as opened:
            program = _opened(opened, _load(_KPROBE, _NOTHING, _KPROBE_MULTI))
            nowhere = 1  # an address, of one address
            link = _KPROBE_LINK.pack(program, 0, _KPROBE_MULTI, 0, 0, 1, 0, nowhere, 0)
            _opened(opened, _bpf(_LINK_CREATE, link))
    except OSError as err:
        return err.errno == errno.EFAULT
    return True


def has_multi_uprobes() -> bool:
    """Whether uprobes can have links that are no perf events, in kernels where these are sound.

    When a uprobe's perf event ends, the kernel waits several times for running programs, and no
    other can end meanwhile; such links wait once, and at the same time as others. Linux 6.6 brought
    them, and 6.10 the check of the process by which sound ones are recognised.
    """
    try:
        _uprobe_multi()
    except OSError:
        return False
    try:
        return not _uprobe_multi(b"/", -1)
    except OSError as err:
        return err.errno == errno.EINVAL  # and not that "/" is no file


def _uprobe_multi(file: bytes = b"/proc/self/exe", process: int = 0) -> bool:
    """Whether many uprobes can be attached at once; this one lies in the head of an ELF file, which
    nobody executes.
    """
    path = ctypes.create_string_buffer(file)
    offsets = (ctypes.c_uint64 * 1)(1)
    with ExitStack() as opened:
        program = _opened(opened, _load(_KPROBE, _NOTHING, _UPROBE_MULTI))
        link = _UPROBE_LINK.pack(
            program, 0, _UPROBE_MULTI, 0,
            ctypes.addressof(path), ctypes.addressof(offsets), 0, 0, 1, 0, process,
        )  # fmt: skip
        _opened(opened, _bpf(_LINK_CREATE, link))
    return True


def _perf_link() -> bool:
    """Whether kprobes have links, which can be pinned (Linux 5.15).

    The kernel looks at the descriptor of the perf event only if it knows such links.
    """
    with ExitStack() as opened:
        program = _opened(opened, _load(_KPROBE, _NOTHING))
        try:
            _bpf(_LINK_CREATE, _PERF_LINK.pack(program, 0xFFFFFFFF, _PERF_EVENT, 0, 0))
        except OSError as err:
            return err.errno == errno.EBADF and os.path.exists(_KPROBES)
    return True


def _batch_update() -> bool:
    keys, values = (ctypes.c_uint32 * 1)(), (ctypes.c_uint32 * 1)()
    addresses = ctypes.addressof(keys), ctypes.addressof(values)
    with ExitStack() as opened:
        made = _opened(opened, _bpf(_MAP_CREATE, _MAP.pack(_HASH, 4, 4, 1)))
        _bpf(_MAP_UPDATE_BATCH, _BATCH.pack(0, 0, *addresses, 1, made, 0, 0))
    return True


def _tail_call_beside_function() -> bool:
    """Whether a program may have both functions of its own and tail calls."""
    with ExitStack() as opened:
        programs = _opened(opened, _bpf(_MAP_CREATE, _MAP.pack(_PROGRAM_ARRAY, 4, 4, 1)))
        program = _opened(opened, _load(_RAW_TRACEPOINT, _NOTHING))
        key, value = ctypes.c_uint32(0), ctypes.c_uint32(program)
        addresses = ctypes.addressof(key), ctypes.addressof(value)
        _bpf(_MAP_UPDATE, _ELEMENT.pack(programs, *addresses, 0))
        calling = (
            _instruction(0xBF, 0x16),  # r6 = r1
            _instruction(0x85, 0x10, 0, 7),  # call the function behind the exit
            _instruction(0xBF, 0x61),  # r1 = r6
            _instruction(0x18, 0x12, 0, programs) + _instruction(0),  # r2 = the map
            _instruction(0xB7, 0x03),  # r3 = 0
            _instruction(0x85, 0, 0, 12),  # bpf_tail_call
            _NOTHING,
            _NOTHING,  # the function
        )
        _opened(opened, _load(_RAW_TRACEPOINT, b"".join(calling)))
    return True
