# SPDX-License-Identifier: Apache-2.0
"""Reading kernel memory by address, with the object bpf/kernel_read.bpf.o, which needs no BTF."""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import pointer
from struct import Struct
from typing import Callable, List, Optional, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.abi.elf import section_data
from tetrapy.abi.layout import StructLayout, member_places, struct_layout, unpacker
from tetrapy.errors import KernelError, LayoutError
from tetrapy.kernel import bundle, features
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.data_section import DataSection
from tetrapy.kernel.libbpf import TestRunOptions, error_text, libbpf
from tetrapy.kernel.privilege import denied, lift_memory_lock_limit
from tetrapy.kernel.shared_memory import Fields
from tetrapy.kernel.sys_calls import NUMBERS, get_thread_name, set_thread_name
from tetrapy.named import NamedTuple

OBJECT = "bpf/kernel_read.bpf.o"
SMALL_OBJECT = "bpf/kernel_read-4.19.bpf.o"

_SECTION, _STRUCT = ".bss", "variables"  # of bpf/variables.h
_REQUEST = ("address", "size", "error")
_ANSWER = ("error", "task", "pid_tgid")
_NOT_RUN = 1  # no error of a helper, which are all negative
_ATTEMPTS = 5


class Task(NamedTuple):
    """A thread: where its task_struct is, and its numbers in the initial pid namespace."""

    address: int
    pid: int  # the kernel's word for the number of a thread
    tgid: int  # ... and of its process


class KernelMemory:
    """Kernel memory, as long as `close` was not called.

    A forked child may use it too, while its parent does not.
    """

    def __init__(self, attached: bool = False, mapped: bool = True, small: bool = False) -> None:
        """Load the object.

        What is otherwise done on old kernels only can be forced: `attached`, the program is
        attached to a tracepoint (before Linux 5.10), `mapped=False`, the answer is copied (before
        5.5), `small`, the object has no global data (before 5.2). Raises KernelError when neither
        way works, LayoutError when the object is not this agent's.
        """
        small = small or not features.GLOBAL_DATA.is_there
        data = bundle.read(SMALL_OBJECT if small else OBJECT)
        btf = Btf(section_data(data, ".BTF"))
        self.variables = member_places(btf, _STRUCT)
        self._layout = struct_layout(btf, "read_request")
        self._object = BpfObject(data, "kernel_read")
        self._former_name = b""
        self._view = self._data = memoryview(b"")
        try:
            self._load()
            if small:
                self.section = DataSection.in_array(self._object, _STRUCT, self.variables)
            else:
                self.section = DataSection.of(self._object, _SECTION, mapped)
            self._arrange()
            self._run = self._test_run()
            self.attached = attached or not self._answers()
            if self.attached:
                self._run = self._attach()
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        lift_memory_lock_limit()
        try:
            self._object.load()
        except KernelError as err:
            refused = denied(err.errno, "the kernel refused the program that reads its memory")
            refused.log = err.log
            raise refused from err

    def _arrange(self) -> None:
        """Find the parts of the window: request, answer and data."""
        at = self.variables["request"][0]
        self._view = self.section.view[at : at + self._layout.size]
        # The program runs in the thread that asks, so nobody else touches them meanwhile.
        self._request = Fields(*_part(self._layout, _REQUEST, self._view))
        self._answer = Fields(*_part(self._layout, _ANSWER, self._view))
        member = self._layout.members["data"]
        self.page = member.size
        self._data = self._view[member.offset : member.offset + member.size]
        self._lowest, self._highest = _kernel_half()

    # --- the two ways to have the program run -------------------------------------------

    def _test_run(self) -> Callable[[], object]:
        # The pointer keeps the options alive, the lambda the pointer.
        options = pointer(TestRunOptions(size=ctypes.sizeof(TestRunOptions)))
        run = libbpf().bpf_prog_test_run_opts
        fd = self._object.program_fds()["read_memory"]
        return lambda: run(fd, options)

    def _answers(self) -> bool:
        self._ask(0, 0)
        self._run()
        self.section.pull()
        return self._result() != _NOT_RUN

    def _attach(self) -> Callable[[], object]:
        """Attach to the entry of system calls; the thread is identified by a name that it gets
        now.
        """
        self._former_name = get_thread_name()
        set_thread_name(b"read-" + os.urandom(5).hex().encode())
        trigger = self._layout.members["trigger"].offset
        caller = self._layout.members["caller"]
        self._view[trigger : trigger + 8] = NUMBERS["getppid"].to_bytes(8, sys.byteorder)
        name = get_thread_name().ljust(caller.size, b"\0")
        self._view[caller.offset : caller.offset + caller.size] = name
        self.section.push()
        try:
            self._object.attach("read_memory_attached")
        except KernelError as err:
            raise denied(
                err.errno,
                "kernel memory cannot be read: BPF_PROG_TEST_RUN of a raw tracepoint's program"
                f" (Linux 5.10) and attaching it to sys_enter both failed: {error_text(err.errno)}",
            ) from err
        return os.getppid

    # --- reading ------------------------------------------------------------------------

    def read(self, address: int, size: int) -> Optional[bytes]:
        """`size` bytes of kernel memory; None when any of them cannot be read.

        Addresses of user space are never read. Raises KernelError when the program does not run.
        """
        if address < self._lowest or address + size > self._highest or size < 0:
            return None
        if size > self.page:
            return self._read_long(address, size)
        self._request.write(address, size, _NOT_RUN)
        if not self.section.mapped:
            self.section.push()
        self._run()
        if not self.section.mapped:
            self.section.pull()
        error = self._result()
        if error == _NOT_RUN:
            error = self._again(address, size)
        return None if error else bytes(self._data[:size])

    def current(self) -> Task:
        """The thread that calls this."""
        self._again(0, 0)
        _, address, numbers = self._answer.read()
        return Task(address, numbers & 0xFFFFFFFF, numbers >> 32)

    def _read_long(self, address: int, size: int) -> Optional[bytes]:
        parts: List[bytes] = []
        for offset in range(0, size, self.page):
            part = self.read(address + offset, min(self.page, size - offset))
            if part is None:
                return None
            parts.append(part)
        return b"".join(parts)

    def _ask(self, address: int, size: int) -> None:
        self._request.write(address, size, _NOT_RUN)
        self.section.push()

    def _result(self) -> int:
        error: int = self._answer.read()[0]
        return error

    def _again(self, address: int, size: int) -> int:
        """Ask until the program has run: a kernel may skip a run, e.g. one inside another."""
        for _ in range(_ATTEMPTS):
            self._ask(address, size)
            self._run()
            self.section.pull()
            error = self._result()
            if error != _NOT_RUN:
                return error
        raise KernelError(f"the program that reads kernel memory did not run, {_ATTEMPTS} times")

    # --- the exec of a child ------------------------------------------------------------

    def attach(self, program: str) -> None:
        """Attach another program of the object. Raises KernelError when the kernel refuses it."""
        self._object.attach(program)

    def detach(self, program: str) -> None:
        """Take it off its hook again."""
        self._object.detach(program)

    def close(self) -> None:
        """Give everything back to the kernel; safe to call twice."""
        # What is mapped goes away: a later use must fail, not touch it.
        self._view.release()
        self._data.release()
        self._object.close()
        if self._former_name:
            set_thread_name(self._former_name)
            self._former_name = b""


def _part(
    layout: StructLayout, names: Tuple[str, ...], view: memoryview
) -> Tuple[Struct, memoryview, int]:
    """What packs these neighbours of the struct in `view`, and the offset of the first."""
    members = [layout.members.get(name) for name in names]
    found = [member for member in members if member is not None]
    if len(found) != len(names):
        raise LayoutError(f"struct {layout.name} has not all of {', '.join(names)}")
    start = found[0].offset
    end = found[-1].offset + found[-1].size
    moved = {
        name: member._replace(offset=member.offset - start) for name, member in zip(names, found)
    }
    return unpacker(StructLayout(layout.name, end - start, moved), names), view, start


def _kernel_half() -> Tuple[int, int]:
    """The first address of the kernel's and the first above them that is not worth a look.

    x86_64: canonical addresses, also with five levels of page tables, below the fixed mappings,
    where reading a device has effects (Documentation/arch/x86/x86_64/mm.rst). Others: the upper
    half without the values that stand for errors (include/linux/err.h).
    """
    if os.uname().machine == "x86_64":
        return 0xFF << 56, 0xFFFFFFFF_FF000000
    return 1 << 63, (1 << 64) - 4096
