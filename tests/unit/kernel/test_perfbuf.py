# SPDX-License-Identifier: Apache-2.0
"""The consumer of BPF perf buffers, on memory laid out as the kernel lays it out."""

from __future__ import annotations

import errno
import mmap
import os
import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tetrapy.errors import KernelError
from tetrapy.kernel import perfbuf
from tetrapy.kernel.perfbuf import PerfBuffer, parse_cpu_list

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = mmap.PAGESIZE
SIZE = PAGE
HEAD, TAIL = 1024, 1032
SAMPLE, LOST = 9, 2
NOW = 1_000_000_000_000


def record(when: int, text: bytes = b"") -> bytes:
    """What a BPF program hands over here: its time, then anything."""
    return struct.pack("=Q", when) + text


def time_of(data: bytes) -> int:
    return int(struct.unpack_from("=Q", data)[0])


class Producer:
    """The kernel's side of one CPU's buffer; the file stands for the perf event."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("perf")
        os.ftruncate(self.fd, PAGE + SIZE)
        self.head = 0

    def start_at(self, position: int) -> None:
        self.head = position
        os.pwrite(self.fd, struct.pack("=QQ", position, position), HEAD)

    @property
    def tail(self) -> int:
        return int(struct.unpack("=Q", os.pread(self.fd, 8, TAIL))[0])

    def _append(self, kind: int, body: bytes) -> None:
        data = struct.pack("=IHH", kind, 0, 8 + len(body)) + body
        assert len(data) % 8 == 0
        assert self.head - self.tail + len(data) <= SIZE
        for index, byte in enumerate(data):
            os.pwrite(self.fd, bytes([byte]), PAGE + (self.head + index) % SIZE)
        self.head += len(data)
        os.pwrite(self.fd, struct.pack("=Q", self.head), HEAD)

    def room_for(self, data: bytes) -> bool:
        return SIZE - (self.head - self.tail) >= len(data) + 20

    def send(self, *records: bytes) -> None:
        """perf_event_output: raw data with its size, padded to 8 bytes with the size counted."""
        for data in records:
            raw = data + b"\xee" * (-(len(data) + 4) % 8)
            self._append(SAMPLE, struct.pack("=I", len(raw)) + raw)

    def lose(self, count: int) -> None:
        self._append(LOST, struct.pack("=QQ", 1, count))


class Epoll:
    """Perf events can be polled, plain files cannot."""

    def __init__(self) -> None:
        self.registered: list[int] = []
        self.closed = False

    def fileno(self) -> int:
        return 99

    def register(self, fd: int, flags: int) -> None:
        self.registered.append(fd)

    def close(self) -> None:
        self.closed = True


class Kernel:
    """What perfbuf.py asks the kernel for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cpus: list[int]) -> None:
        self.producers = {cpu: Producer() for cpu in cpus}
        self.now = NOW
        self.enabled: list[int] = []
        self.map: dict[int, int] = {}
        self.epoll = Epoll()
        monkeypatch.setattr(perfbuf, "_open_event", self.open_event)
        monkeypatch.setattr(perfbuf, "online_cpus", lambda: cpus)
        monkeypatch.setattr(perfbuf, "write_u32", lambda _, cpu, fd: self.map.update({cpu: fd}))
        monkeypatch.setattr(perfbuf.fcntl, "ioctl", lambda fd, *_: self.enabled.append(fd))
        monkeypatch.setattr(perfbuf.select, "epoll", lambda: self.epoll)
        monkeypatch.setattr(perfbuf.time, "clock_gettime_ns", lambda _: self.now)

    def open_event(self, cpu: int, _: int) -> int:
        return self.producers[cpu].fd

    def __getitem__(self, cpu: int) -> Producer:
        return self.producers[cpu]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch, [0, 2])


@pytest.fixture
def buffer(kernel: Kernel) -> Iterator[PerfBuffer]:
    buffer = PerfBuffer(7, SIZE, time_of)
    yield buffer
    buffer.close()


def taken(buffer: PerfBuffer, limit: int = 100, *, everything: bool = False) -> list[bytes]:
    """Records without the padding of their buffers."""
    return [data.rstrip(b"\xee") for data in buffer.drain(limit, everything)]


def test_each_online_cpu_has_a_buffer(kernel: Kernel, buffer: PerfBuffer) -> None:
    """The map's entry of a CPU is its event, which is enabled and polled."""
    fds = [kernel[0].fd, kernel[2].fd]
    assert kernel.map == {0: fds[0], 2: fds[1]}
    assert kernel.enabled == fds
    assert kernel.epoll.registered == fds
    assert buffer.size == 2 * SIZE
    assert buffer.fd == 99


def test_a_record_comes_out_as_it_went_in(kernel: Kernel, buffer: PerfBuffer) -> None:
    """Raw data without perf's header and size, whatever its length."""
    for size in range(40):
        data = record(1, b"x" * size)
        kernel[0].send(data)
        assert taken(buffer) == [data]
    assert kernel[0].tail == kernel[0].head


def test_records_of_all_cpus_are_put_in_order_of_time(kernel: Kernel, buffer: PerfBuffer) -> None:
    """A fork on one CPU comes before its exec on another."""
    kernel[2].send(record(20, b"exec"), record(40, b"exit"))
    kernel[0].send(record(10, b"fork"), record(30, b"other"))
    assert [time_of(data) for data in taken(buffer)] == [10, 20, 30, 40]


def test_records_of_one_time_keep_their_order(kernel: Kernel, buffer: PerfBuffer) -> None:
    """Chunks of arguments have their exec's time and stay in front of it."""
    pieces = [record(5, bytes([97 + number])) for number in range(9)]
    kernel[2].send(*pieces)
    assert taken(buffer) == pieces


def test_what_was_just_written_waits(kernel: Kernel, buffer: PerfBuffer) -> None:
    """A CPU may still be writing an older record, so young ones are held back a moment."""
    old, young = record(NOW - 10**9), record(NOW - 1)
    kernel[0].send(young)
    kernel[2].send(old)
    assert taken(buffer) == [old]
    assert taken(buffer) == []
    kernel.now += 10**9
    assert taken(buffer) == [young]


def test_everything_includes_the_youngest(kernel: Kernel, buffer: PerfBuffer) -> None:
    """After detaching nothing older can come, so all is given out."""
    kernel[0].send(record(NOW + 10**9, b"future"), record(NOW, b"now"))
    assert taken(buffer, everything=True) == [record(NOW, b"now"), record(NOW + 10**9, b"future")]


def test_what_was_not_taken_yet_may_be_older(kernel: Kernel, buffer: PerfBuffer) -> None:
    """A record becomes ripe only by a look at all buffers after it: time alone is not enough."""
    kernel[0].send(record(NOW - 10**9), record(NOW - 5), record(NOW - 4))
    assert taken(buffer, 1) == [record(NOW - 10**9)]
    kernel[2].send(record(NOW - 6))
    kernel.now += 10**9
    assert [time_of(data) for data in taken(buffer, 2)] == [NOW - 6, NOW - 5]


@pytest.mark.slow
def test_what_waits_has_a_bound_in_bytes(
    kernel: Kernel, buffer: PerfBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond it the buffers are left alone until what waits is ripe and given out, in order."""
    monkeypatch.setattr(perfbuf, "_MAX_WAITING", SIZE // 2)
    sent: list[bytes] = []
    got: list[bytes] = []
    most = 0
    for step in range(60):
        for cpu in (0, 2):
            data = record(kernel.now - 1, bytes(400) + b".")
            while kernel[cpu].room_for(data):
                kernel[cpu].send(data)
                sent.append(data)
        got += taken(buffer)
        most = max(most, sum(len(data) for _, data in buffer._waiting))
        kernel.now += 1_000_000 if step % 2 else 30_000_000
    assert most < SIZE // 2 + 2 * SIZE
    got += taken(buffer, 10**6, everything=True)
    assert [time_of(data) for data in got] == sorted(time_of(data) for data in got)
    assert sorted(got) == sorted(sent)


def test_at_most_so_many(kernel: Kernel, buffer: PerfBuffer) -> None:
    """What is over the limit comes at the next look, in order with what came since."""
    kernel[0].send(*[record(number) for number in (10, 20, 30)])
    assert [time_of(data) for data in taken(buffer, 2)] == [10, 20]
    kernel[2].send(record(25))
    assert [time_of(data) for data in taken(buffer, 2)] == [25, 30]


def test_other_kinds_of_perf_records_are_passed_over(kernel: Kernel, buffer: PerfBuffer) -> None:
    """PERF_RECORD_LOST is no event; what is behind it is read."""
    kernel[0].lose(3)
    kernel[0].send(record(1, b"after"))
    assert taken(buffer) == [record(1, b"after")]


def test_a_record_across_the_end_is_whole(kernel: Kernel, buffer: PerfBuffer) -> None:
    """Data that wraps is put together, with its header or size on either side of the end."""
    for offset in range(8, 120, 8):
        kernel[0].start_at(SIZE * 3 - offset)
        data = record(1, bytes(range(60)))
        kernel[0].send(data, record(2, b"next"))
        assert taken(buffer) == [data, record(2, b"next")], offset


def test_a_full_buffer(kernel: Kernel, buffer: PerfBuffer) -> None:
    """Every byte of a buffer can be in use."""
    records = [record(number, b"x" * 44) for number in range(SIZE // 64)]
    kernel[0].send(*records)
    assert kernel[0].head - kernel[0].tail == SIZE
    assert taken(buffer) == records


def test_closing_gives_the_events_back(kernel: Kernel) -> None:
    """Every descriptor is closed."""
    buffer = PerfBuffer(7, SIZE, time_of)
    fds = [producer.fd for producer in kernel.producers.values()]
    buffer.close()
    assert kernel.epoll.closed
    for fd in fds:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(fd)


def test_a_refused_buffer_gives_the_others_back(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When one CPU's buffer cannot be had, those of the others are closed again."""

    def ioctl(fd: int, *_: Any) -> None:
        if fd == kernel[2].fd:
            raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr(perfbuf.fcntl, "ioctl", ioctl)
    with pytest.raises(KernelError, match=r"CPU 2.*no memory") as caught:
        PerfBuffer(7, SIZE, time_of)
    assert caught.value.errno == errno.ENOMEM
    del caught
    for producer in kernel.producers.values():
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(producer.fd)
    assert kernel.epoll.closed


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 2]), st.integers(0, 50), st.binary(max_size=90))
        | st.tuples(st.just("drain"), st.integers(0, 6), st.booleans()),
        max_size=40,
    ),
    st.integers(0, 2**40).map(lambda number: number * 8),
)
def test_any_course_of_the_buffers(
    monkeypatch: pytest.MonkeyPatch, course: list[tuple[Any, int, Any]], start: int
) -> None:
    """What is taken is what a queue sorted by time would give."""
    with monkeypatch.context() as patch:
        kernel = Kernel(patch, [0, 2])
        for producer in kernel.producers.values():
            producer.start_at(start)
        buffer = PerfBuffer(7, SIZE, time_of)
        fetched: list[bytes] = []
        unread: dict[int, list[bytes]] = {0: [], 2: []}
        for who, value, more in course:
            if who == "drain":
                ripe = [data for data in fetched if time_of(data) <= NOW - 20_000_000]
                if more or len(ripe) < value:
                    fetched += unread[0] + unread[2]
                    unread = {0: [], 2: []}
                    fetched.sort(key=time_of)
                ripe = [data for data in fetched if more or time_of(data) <= NOW - 20_000_000]
                expected, gone = ripe[:value], len(ripe[:value])
                assert taken(buffer, value, everything=more) == expected
                del fetched[:gone]
                continue
            # Some are older than the moment that records are held back, some younger.
            data = record(NOW - 40_000_000 + value * 1_000_000, more.replace(b"\xee", b"") + b".")
            if kernel[who].room_for(data):
                kernel[who].send(data)
                unread[who].append(data)
        buffer.close()


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0", [0]),
        ("0-3\n", [0, 1, 2, 3]),
        ("0-2,5", [0, 1, 2, 5]),
        ("1,3-4,8-9\n", [1, 3, 4, 8, 9]),
    ],
)
def test_cpu_lists(text: str, cpus: list[int]) -> None:
    """The kernel's form of a set of CPUs."""
    assert parse_cpu_list(text) == cpus


def test_at_most_so_many_bytes(
    kernel: Kernel, buffer: PerfBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch ends behind the record that makes it a MiB, and says that more may wait."""
    monkeypatch.setattr(perfbuf, "_BATCH_BYTES", 40)
    for number in range(5):
        kernel[0].send(record(1 + number, b"x" * 16))
    sizes = []
    while batch := taken(buffer, everything=True):
        sizes.append((len(batch), buffer.more))
    assert [more for _, more in sizes] == [True] * (len(sizes) - 1) + [False]
    assert sum(count for count, _ in sizes) == 5
    assert sizes[0][0] < 5
