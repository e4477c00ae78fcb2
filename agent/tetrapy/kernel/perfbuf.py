# SPDX-License-Identifier: Apache-2.0
"""Reading BPF perf buffers, one per CPU, for kernels without the BPF ring buffer.

Formats: Linux, include/uapi/linux/perf_event.h (struct perf_event_attr, perf_event_mmap_page,
perf_event_header). A CPU's records are in order; across CPUs they are put in order by their time
here, so a record is given out only when no CPU can still bring an older one.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import time
from struct import Struct, pack
from typing import Callable, List, Tuple

from tetrapy.errors import KernelError
from tetrapy.kernel.maps import cpu_limit, write_u32
from tetrapy.kernel.privilege import denied
from tetrapy.kernel.shared_memory import LOADS_IN_ORDER, PAGE, Fence, Word, map_memory

_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}  # system call numbers
_TYPE_SOFTWARE = 1
_CONFIG_BPF_OUTPUT = 10
_SAMPLE_RAW = 1 << 10
_FLAG_WATERMARK = 1 << 14
_FLAG_CLOEXEC = 8
_RECORD_SAMPLE = 9
_ENABLE = 0x2400  # PERF_EVENT_IOC_ENABLE
_NO_CPU = (19, 22)  # ENODEV, EINVAL

_HEAD_OFFSET = 1024  # perf_event_mmap_page.data_head
_TAIL_OFFSET = 1032
_HEADER = Struct("=IHH")  # type, misc, size
_RAW_SIZE = Struct("=I")

# A program takes its time stamp some microseconds before its record is complete.
_SETTLE_SECONDS = 0.02
_SETTLE_NS = int(_SETTLE_SECONDS * 1_000_000_000)

# Bytes of records that wait here, beyond which the buffers are left alone: that many, and what the
# buffers hold at once, is the most that is ever in memory.
_MAX_WAITING = 8 << 20
_BATCH_BYTES = 1 << 20  # after which a batch takes no further record


class _CpuBuffer:
    """The buffer of one CPU."""

    def __init__(self, cpu: int, size: int) -> None:
        self.fd = _open_event(cpu, size // 2)
        self._size = size
        try:
            self._memory = map_memory(self.fd, PAGE + size, writable=True)
            fcntl.ioctl(self.fd, _ENABLE, 0)
        except OSError as err:
            os.close(self.fd)
            raise KernelError(
                f"perf buffer of CPU {cpu} ({size} bytes): {err.strerror}", err.errno or 0
            ) from err
        self._head = Word(self._memory, _HEAD_OFFSET, 8)
        self._tail = Word(self._memory, _TAIL_OFFSET, 8)
        self._fence = Fence()

    def take(self, records: List[bytes]) -> None:
        tail = self._tail.load()
        head = self._head.load()
        if not LOADS_IN_ORDER:
            self._fence()
        while tail < head:
            kind, _, length = _HEADER.unpack(self._read(tail, _HEADER.size))
            if kind == _RECORD_SAMPLE:
                raw = self._read(tail + _HEADER.size, length - _HEADER.size)
                (raw_size,) = _RAW_SIZE.unpack_from(raw)
                records.append(raw[_RAW_SIZE.size : _RAW_SIZE.size + raw_size])
            tail += length
        if not LOADS_IN_ORDER:
            self._fence()
        self._tail.store(tail)

    def _read(self, position: int, length: int) -> bytes:
        at = position & (self._size - 1)
        first = self._memory[PAGE + at : PAGE + min(at + length, self._size)]
        return first + self._memory[PAGE : PAGE + length - len(first)]

    def close(self) -> None:
        self._head.release()
        self._tail.release()
        self._memory.close()
        os.close(self.fd)


class PerfBuffer:
    """The consumer of a perf event array map; `size` bytes (a power of two) per CPU."""

    settle_seconds = _SETTLE_SECONDS  # after an event its record is certain to come in order

    def __init__(
        self,
        map_fd: int,
        size: int,
        time_of: Callable[[bytes], int],
        emptying: Callable[[], None] = lambda: None,
    ) -> None:
        """`time_of` tells a record's time, ns of CLOCK_MONOTONIC.

        `emptying` is called before all that waits is taken out of the buffers.

        Raises KernelError when the kernel refuses a buffer.
        """
        self._time_of = time_of
        self._emptying = emptying
        self._waiting: List[Tuple[int, bytes]] = []  # in order of time
        self._bytes = 0  # of what waits
        self._taken = 0  # when all buffers were emptied
        self.more = False  # whether the last batch was as large as it may be
        self._buffers: List[_CpuBuffer] = []
        epoll = select.epoll()
        self._epoll = epoll
        self.fd = epoll.fileno()
        self.epoll_flags = select.EPOLLIN
        self.size = 0  # bytes, over all CPUs
        try:
            for cpu in online_cpus():
                try:
                    buffer = _CpuBuffer(cpu, size)
                except KernelError as err:
                    if err.errno in _NO_CPU and self._buffers:  # not there, or not online
                        continue
                    raise
                self._buffers.append(buffer)
                write_u32(map_fd, cpu, buffer.fd)
                epoll.register(buffer.fd, select.EPOLLIN | select.EPOLLET)
                self.size += size
        except BaseException:
            self.close()
            raise

    def drain(self, limit: int, everything: bool = False) -> List[bytes]:
        """At most `limit` records in order of time; with `everything` also those just written.

        A batch ends behind the record that makes it 1 MiB.
        """
        waiting = self._waiting
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        if everything or self._needs_more(limit, now):
            self._take()
            self._taken = now
        count, before = 0, self._bytes
        self.more = False
        # What was written before the buffers were emptied has come, and nothing younger is sure to.
        horizon = self._taken - _SETTLE_NS
        for when, record in waiting:
            if when > horizon and not everything:
                break
            if count == limit or before - self._bytes >= _BATCH_BYTES:
                self.more = True
                break
            count += 1
            self._bytes -= len(record)
        records = [record for _, record in waiting[:count]]
        del waiting[:count]
        return records

    def _needs_more(self, limit: int, now: int) -> bool:
        """Whether the buffers are to be emptied first; when much waits only if none is ripe."""
        waiting, horizon = self._waiting, self._taken - _SETTLE_NS
        if self._bytes >= _MAX_WAITING:
            return waiting[0][0] > horizon and now - self._taken >= _SETTLE_NS
        return limit > 0 and (len(waiting) < limit or waiting[limit - 1][0] > horizon)

    def _take(self) -> None:
        taken: List[bytes] = []
        self._emptying()
        for buffer in self._buffers:
            buffer.take(taken)
        if taken:
            time_of = self._time_of
            self._bytes += sum(map(len, taken))
            self._waiting.extend((time_of(record), record) for record in taken)
            self._waiting.sort(key=lambda entry: entry[0])

    def close(self) -> None:
        """Give the buffers back."""
        self._epoll.close()
        for buffer in self._buffers:
            buffer.close()
        self._buffers = []


def _open_event(cpu: int, watermark: int) -> int:
    # type, size, config, sample_period, sample_type, read_format, flags, wakeup_watermark, ...
    attribute = pack(
        "=IIQQQQQIIQ48x",
        _TYPE_SOFTWARE,
        112,
        _CONFIG_BPF_OUTPUT,
        1,
        _SAMPLE_RAW,
        0,
        _FLAG_WATERMARK,
        watermark,
        0,
        0,
    )
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    number = _PERF_EVENT_OPEN[os.uname().machine]
    fd = int(
        syscall(
            ctypes.c_long(number),
            ctypes.c_char_p(attribute),
            ctypes.c_int(-1),
            ctypes.c_int(cpu),
            ctypes.c_int(-1),
            ctypes.c_ulong(_FLAG_CLOEXEC),
        )
    )
    if fd < 0:
        errno = ctypes.get_errno()
        raise denied(errno, f"a perf buffer for CPU {cpu} was refused")
    return fd


def online_cpus() -> List[int]:
    """Without /sys those that there may be."""
    try:
        with open("/sys/devices/system/cpu/online", encoding="ascii") as file:
            return parse_cpu_list(file.read())
    except OSError:
        return list(range(cpu_limit()))


def parse_cpu_list(text: str) -> List[int]:
    """`0-2,5` -> [0, 1, 2, 5] (Linux, Documentation/admin-guide/cputopology.rst)."""
    cpus: List[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return cpus
