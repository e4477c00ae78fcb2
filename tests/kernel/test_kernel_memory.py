# SPDX-License-Identifier: Apache-2.0
"""Reading kernel memory by address, in each of the ways that kernels of all ages allow."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kernel_layout import KERNEL, KernelLayout
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.kernel import bundle
from tetrapy.kernel.kernel_memory import OBJECT, KernelMemory
from tetrapy.kernel.libbpf import libbpf

ROOT = Path(__file__).resolve().parents[2]
WAYS = {
    "run": {},
    "run-copied": {"mapped": False},
    "attached": {"attached": True},
    "attached-copied": {"attached": True, "mapped": False},
    "small-attached-copied": {"attached": True, "small": True},
}
TIMEOUT = 60

needs_btf = pytest.mark.skipif(not KERNEL.exists(), reason="needs a kernel with BTF")


@pytest.fixture(scope="module", params=WAYS)
def memory(request: pytest.FixtureRequest) -> Iterator[KernelMemory]:
    opened = KernelMemory(**WAYS[request.param])
    assert opened.attached == ("attached" in request.param)
    assert opened.section.mapped == ("copied" not in request.param)
    yield opened
    opened.close()


@needs_btf
def test_known_memory(memory: KernelMemory) -> None:
    """What is read of the own task is what the kernel says about it."""
    task = memory.current()
    layout = KernelLayout(memory.read)
    assert layout.number(task.address, "task_struct", "pid") == task.pid
    assert layout.number(task.address, "task_struct", "tgid") == task.tgid == os.getpid()
    name = layout.raw(task.address + layout.offset("task_struct", "comm"), 16)
    assert name.rstrip(b"\0") == Path("/proc/thread-self/comm").read_bytes().rstrip(b"\n")


@needs_btf
def test_end_of_what_can_be_read(memory: KernelMemory) -> None:
    """None as soon as a single byte cannot be read: behind a kernel stack lies nothing."""
    layout = KernelLayout(memory.read)
    stack = layout.number(memory.current().address, "task_struct", "stack")
    size = next(
        (size for size in range(8192, 1 << 17, 4096) if memory.read(stack + size, 1) is None), 0
    )
    if not size:
        pytest.skip("this kernel's stacks are not in virtual memory of their own")
    assert len(memory.read(stack + size - 8, 8) or b"") == 8
    assert memory.read(stack + size - 8, 9) is None
    assert memory.read(stack + size - 4096, 4096) is not None
    assert memory.read(stack + size - 4096, 4097) is None
    assert memory.read(stack + size - 8192, 10000) is None


def symbol(name: str) -> int:
    """The address of a symbol of the kernel."""
    for line in Path("/proc/kallsyms").read_text().splitlines():
        address, _, found = line.split()[:3]
        if found == name and int(address, 16):
            return int(address, 16)
    pytest.skip(f"/proc/kallsyms does not tell where {name} is")


@pytest.mark.parametrize("size", [0, 1, 7, 8, 4095, 4096, 4097, 8192, 10000])
def test_sizes(memory: KernelMemory, size: int) -> None:
    """Any size is read, larger ones in pieces, to the byte."""
    start = symbol("__start_rodata") + 5
    expected = b"".join(memory.read(start + at, 1) or b"" for at in range(size))
    assert len(expected) == size
    assert memory.read(start, size) == expected


def test_what_is_not_read(memory: KernelMemory) -> None:
    """User space, holes, device mappings, values that are errors, and senseless ranges are None."""
    own = ctypes.create_string_buffer(b"mine", 8)
    addresses = {
        "null": 0,
        "own memory": ctypes.addressof(own),
        "last of user space": (1 << 47) - 4096,
        "not canonical": 1 << 62,
        "error": (1 << 64) - 22,
        "beyond": 1 << 64,
        "negative": -8,
    }
    if os.uname().machine == "x86_64":
        addresses["hole"] = 0xFFFF8000_00000000
        addresses["local APIC"] = 0xFFFFFFFF_FF5FC000
        addresses["vsyscall"] = 0xFFFFFFFF_FF600000
    for name, address in addresses.items():
        assert memory.read(address, 8) is None, name
    assert memory.read(memory.current().address, -1) is None


def test_every_way_reads_the_same() -> None:
    """The ways agree about who asks and about memory that does not change."""
    start = symbol("__start_rodata")
    found = []
    for way in WAYS.values():
        with contextlib.closing(KernelMemory(**way)) as memory:
            found.append((memory.current(), memory.read(start, 10000)))
    assert found[0][1] is not None
    assert found.count(found[0]) == len(WAYS)


def test_caller(memory: KernelMemory) -> None:
    """The caller is the thread that asks, be it another one or of a forked child."""
    mine = memory.current()
    assert (mine.pid, mine.tgid) == (threading.get_native_id(), os.getpid())
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, repr(tuple(memory.current())).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    address, pid, tgid = eval(os.read(reader, 4096))
    os.close(reader)
    os.close(writer)
    assert pid == tgid == child
    assert address != mine.address


def test_another_thread(memory: KernelMemory) -> None:
    """A thread has an address and a number of its own."""
    found = []
    thread = threading.Thread(target=lambda: found.append(memory.current()))
    thread.start()
    thread.join()
    assert found[0].pid == thread.native_id
    assert found[0].tgid == os.getpid()
    assert found[0].address != memory.current().address


def exists(number: int) -> bool:
    """Whether the kernel still has a program of this id."""
    fd = libbpf().bpf_prog_get_fd_by_id(number)
    if fd >= 0:
        os.close(fd)
    return bool(fd >= 0)


def program_ids(memory: KernelMemory) -> list[int]:
    """The ids of its programs (struct bpf_prog_info: type, id)."""
    found = []
    for fd in memory._object.program_fds().values():
        info = (ctypes.c_uint32 * 64)()
        size = ctypes.c_uint32(ctypes.sizeof(info))
        assert libbpf().bpf_prog_get_info_by_fd(fd, info, ctypes.byref(size)) == 0
        found.append(info[1])
    return found


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left(way: str) -> None:
    """Programs, descriptors and the thread's name are as before, also after many times."""
    fds = os.listdir("/proc/self/fd")
    name = Path("/proc/thread-self/comm").read_bytes()
    ids = set()
    for _ in range(20):
        memory = KernelMemory(**WAYS[way])
        ids |= set(program_ids(memory))
        memory.current()
        memory.close()
        memory.close()
    assert os.listdir("/proc/self/fd") == fds
    assert Path("/proc/thread-self/comm").read_bytes() == name
    assert len(ids) == 60
    deadline = time.monotonic() + TIMEOUT
    while any(map(exists, ids)):
        assert time.monotonic() < deadline, "programs are left in the kernel"
        time.sleep(0.05)


def test_in_a_pid_namespace() -> None:
    """A process that does not know its own global number is found all the same."""
    script = (
        "import os; from tetrapy.kernel.kernel_memory import KernelMemory\n"
        "tasks = [KernelMemory(attached=way).current() for way in (False, True)]\n"
        "assert tasks[0] == tasks[1], tasks\n"
        "assert os.getpid() == 1 != tasks[0].pid, tasks\n"
    )
    command = ["unshare", "--pid", "--fork", sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "agent")}
    subprocess.run(command, check=True, env=environment, timeout=TIMEOUT)


def test_not_permitted() -> None:
    """Without the capabilities it says which are missing."""
    script = (
        "from tetrapy.kernel.kernel_memory import KernelMemory\n"
        "from tetrapy.errors import NotPermittedError\n"
        "try: KernelMemory()\n"
        "except NotPermittedError as err: print(err)\n"
    )
    command = ["setpriv", "--bounding-set=-all", sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "agent")}
    done = subprocess.run(
        command, check=False, env=environment, timeout=TIMEOUT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "CAP_BPF" in done.stdout


def test_no_relocations() -> None:
    """The object asks nothing of a kernel's BTF."""
    assert CoreQueries([bundle.read(OBJECT)]).names == ()


def test_after_the_end() -> None:
    """A closed one fails, and touches no memory that is not there any more."""
    memory = KernelMemory()
    address = memory.current().address
    memory.close()
    for use in (memory.current, lambda: memory.read(address, 8)):
        with pytest.raises((TypeError, struct.error)):
            use()
