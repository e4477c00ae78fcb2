# SPDX-License-Identifier: Apache-2.0
"""Attaching one loaded program to many functions and tracepoints, each link with a number.

The number (a cookie, Linux 5.15) tells the program at which of its links it runs.
"""

from __future__ import annotations

import ctypes
import errno as errnos
import os
from ctypes import byref
from struct import Struct
from typing import Any, Callable, List, Optional, Sequence

from tetrapy.errors import KernelError
from tetrapy.kernel import sys_calls
from tetrapy.kernel.bpf_object import MULTI_KPROBE, MULTI_UPROBE, BpfObject
from tetrapy.kernel.libbpf import (
    LinkCreateOptions,
    MultiKprobeOptions,
    MultiUprobeOptions,
    PerfEventOptions,
    UprobeOptions,
    error_text,
    last_errno,
    libbpf,
)
from tetrapy.kernel.libbpf_log import collected

_ANY_PROCESS = -1
# struct perf_event_attr (include/uapi/linux/perf_event.h): type, size, config, and far behind that
# the address of the name of a kprobe's function; the rest is zero.
_PERF_ATTRIBUTES = Struct("=IIQ40xQ")
_PERF_TYPE_TRACEPOINT = 2
_PERF_TYPE_KPROBE = "/sys/bus/event_source/devices/kprobe/type"
# struct bpf_link_info (include/uapi/linux/bpf.h) of a perf event: type, the event's type; of a
# kprobe the calls that it missed; the rest is zero. Of many kprobes these are in another place.
_LINK_INFO = Struct("=I12xI28xQ8x")
_MULTI_INFO = Struct("=I28xQ24x")
_AT_PERF_EVENT = 41  # BPF_PERF_EVENT of enum bpf_attach_type
_LINK_PERF_EVENT, _LINK_MULTI_KPROBE = 7, 8  # BPF_LINK_TYPE_PERF_EVENT, ..._KPROBE_MULTI
_LINK_KPROBES = frozenset((3, 4))  # BPF_PERF_EVENT_KPROBE, BPF_PERF_EVENT_KRETPROBE
_RETURN_PROBE = 1  # format/retprobe beside that file: the lowest bit of config
_PERF_CLOEXEC = 8  # PERF_FLAG_FD_CLOEXEC


_WHY = {
    errnos.ENOENT: "there is no such thing in this kernel",
    # Of a kprobe, since b022f0c7e404 "tracing/kprobes: Return EADDRNOTAVAIL when func matches
    # several symbols" (Linux 6.7, and updates of those before it).
    errnos.EADDRNOTAVAIL: "several functions have this name, and nothing says which is meant",
    errnos.E2BIG: "the kernel takes no more programs there: at a tracepoint 64, of all agents",
    # ENOTSUPP of the kernel alone, which trampolines have: arm64 has loaded their programs since
    # Linux 6.0, and has run them since 2aa6ac03516d "arm64: ftrace: Add direct call support" (6.4).
    524: "this kernel runs no programs at its functions (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS,"
    " arm64 from Linux 6.4 on); use a kprobe",
}


class Link:
    """A program at its hook; `close` takes it off."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    @property
    def fd(self) -> int:
        """The file descriptor, which stays the link's."""
        return int(libbpf().bpf_link__fd(self._handle))

    def missed(self) -> int:
        """Calls that a kprobe missed since another was at work on the CPU, as Linux 6.7 tells.

        0 where the kernel does not tell that, and of other links.
        """
        if not self._handle:
            return 0
        info = ctypes.create_string_buffer(_LINK_INFO.size)
        size = ctypes.c_uint32(_LINK_INFO.size)
        if libbpf().bpf_link_get_info_by_fd(self.fd, info, byref(size)):
            return 0
        return missed_of(info.raw)

    def close(self) -> None:
        """Detach; safe to call twice."""
        handle, self._handle = self._handle, None
        if handle:
            libbpf().bpf_link__destroy(handle)


class DescribedLink(Link):
    """One of which there is a file descriptor and no more."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)

    @property
    def fd(self) -> int:
        """As of any link."""
        return int(self._handle)

    def close(self) -> None:
        """Detach; safe to call twice."""
        fd, self._handle = self._handle, None
        if fd is not None:
            os.close(fd)


def missed_of(info: bytes) -> int:
    """What a struct bpf_link_info tells of calls that were missed."""
    kind, event, missed = _LINK_INFO.unpack(info)
    if kind == _LINK_MULTI_KPROBE:
        return int(_MULTI_INFO.unpack(info)[1])
    return int(missed) if kind == _LINK_PERF_EVENT and event in _LINK_KPROBES else 0


class Event:
    """A perf event, to which a program can be attached; `close` gives it back until then."""

    def __init__(self, what: str, kind: int, config: int, function: Optional[bytes] = None) -> None:
        """`what` names it in errors. Raises KernelError."""
        self._what = what
        name = ctypes.c_char_p(function)
        address = ctypes.cast(name, ctypes.c_void_p).value or 0
        packed = _PERF_ATTRIBUTES.pack(kind, _PERF_ATTRIBUTES.size, config, address)
        attributes = ctypes.create_string_buffer(packed, len(packed))
        # Of all processes, opened on the first CPU: a program there runs on all of them.
        where = (_ANY_PROCESS, 0, -1, _PERF_CLOEXEC)
        try:
            self._fd = sys_calls.call("perf_event_open", ctypes.addressof(attributes), *where)
        except OSError as err:
            raise _refused(what, err.errno or 0, "") from err

    def attach(self, loaded: BpfObject, program: str, cookie: int = 0) -> Link:
        """Run the program at the event from now on. Raises KernelError."""
        if loaded.is_settled:
            return self._linked(loaded.program_fds()[program], cookie)
        handle = loaded.program(program)
        options = PerfEventOptions(size=ctypes.sizeof(PerfEventOptions), cookie=cookie)
        link = _attached(
            self._what,
            lambda: libbpf().bpf_program__attach_perf_event_opts(handle, self._fd, byref(options)),
        )
        self._fd = -1  # the link's now
        return link

    def _linked(self, program: int, cookie: int) -> Link:
        """By the file descriptor of a program, as libbpf does where it has the program."""
        options = LinkCreateOptions(size=ctypes.sizeof(LinkCreateOptions), cookie=cookie)
        number = libbpf().bpf_link_create(program, self._fd, _AT_PERF_EVENT, byref(options))
        if number < 0:
            raise _refused(self._what, -number, "")
        self.close()  # the link holds it
        return DescribedLink(number)

    def close(self) -> None:
        """Safe to call twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def open_kprobe(function: str, is_return: bool = False) -> Event:
    """What happens when the kernel calls `function`, or returns from it.

    Raises KernelError: whether there is such a function, the kernel alone knows.
    """
    try:
        with open(_PERF_TYPE_KPROBE, encoding="ascii") as file:
            kind = int(file.read())
    except OSError as err:
        raise KernelError(f"{_PERF_TYPE_KPROBE}: {err.strerror}", err.errno or 0) from err
    config = _RETURN_PROBE if is_return else 0
    return Event(f"kprobe {function}", kind, config, function.encode())


def attach_kprobes(
    program: int, functions: Sequence[str], cookies: Sequence[int], is_return: bool = False
) -> Link:
    """Run a program when the kernel calls one of the functions, or returns from it.

    `program` is the file descriptor of one for MULTI_KPROBE; each function has its cookie, and is
    there once. Raises KernelError where one of them cannot be hooked, and nobody says which.
    """
    count = len(functions)
    kprobes = MultiKprobeOptions(
        flags=int(is_return),  # BPF_F_KPROBE_MULTI_RETURN
        count=count,
        symbols=(ctypes.c_char_p * count)(*(name.encode() for name in functions)),
        cookies=(ctypes.c_uint64 * count)(*cookies),
    )
    options = LinkCreateOptions(size=ctypes.sizeof(LinkCreateOptions), kprobes=kprobes)
    number = libbpf().bpf_link_create(program, 0, MULTI_KPROBE, byref(options))
    if number < 0:
        raise _refused(f"kprobes {functions[0]} and {count - 1} more", -number, "")
    return DescribedLink(number)


def attach_uprobe(
    loaded: BpfObject,
    program: str,
    path: str,
    offset: int,
    cookie: int = 0,
    is_return: bool = False,
    reference_counter_offset: int = 0,
) -> Link:
    """Run the program when any process reaches `offset` of a file. Raises KernelError."""
    what = f"uprobe {path}+{offset:#x}"
    handle = loaded.program(program)
    if libbpf().bpf_program__expected_attach_type(handle) == MULTI_UPROBE:
        several = MultiUprobeOptions(
            size=ctypes.sizeof(MultiUprobeOptions),
            offsets=(ctypes.c_ulong * 1)(offset),
            reference_counter_offsets=(ctypes.c_ulong * 1)(reference_counter_offset),
            cookies=(ctypes.c_uint64 * 1)(cookie),
            count=1,
            is_return=is_return,
        )
        return _attached(
            what,
            lambda: libbpf().bpf_program__attach_uprobe_multi(
                handle, _ANY_PROCESS, os.fsencode(path), None, byref(several)
            ),
        )
    options = UprobeOptions(
        size=ctypes.sizeof(UprobeOptions),
        cookie=cookie,
        is_return=is_return,
        reference_counter_offset=reference_counter_offset,
    )
    return _attached(
        what,
        lambda: libbpf().bpf_program__attach_uprobe_opts(
            handle, _ANY_PROCESS, os.fsencode(path), offset, byref(options)
        ),
    )


def attach_tracepoint(
    loaded: BpfObject, program: str, name: str, number: int, cookie: int = 0
) -> Link:
    """Run the program when the tracepoint with this number (from its format file) is hit.

    The perf event is opened here: libbpf would look for the number in tracefs, which need not be
    mounted. Raises KernelError.
    """
    event = Event(f"tracepoint {name}", _PERF_TYPE_TRACEPOINT, number)
    try:
        return event.attach(loaded, program, cookie)
    finally:
        event.close()


def attach_raw_tracepoint(loaded: BpfObject, program: str, event: str) -> Link:
    """Run the program when a tracepoint is hit, with the kernel's own arguments.

    Raises KernelError.
    """
    handle = loaded.program(program)
    return _attached(
        f"raw tracepoint {event}",
        lambda: libbpf().bpf_program__attach_raw_tracepoint(handle, event.encode()),
    )


def attach_aimed(loaded: BpfObject, program: str, what: str) -> Link:
    """Run the program at the function that it was loaded for; `what` names it in errors.

    Raises KernelError.
    """
    handle = loaded.program(program)
    return _attached(what, lambda: libbpf().bpf_program__attach_trace(handle))


def _attached(what: str, attach: Callable[[], Any]) -> Link:
    messages: List[str] = []
    with collected(messages):
        handle = attach()
    if not handle:
        raise _refused(what, last_errno(), "\n".join(messages))
    return Link(handle)


def _refused(what: str, number: int, log: str) -> KernelError:
    why = _WHY.get(abs(number)) or error_text(number)
    return KernelError(f"{what}: not attached: {why}", abs(number), log)
