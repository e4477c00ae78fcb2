# SPDX-License-Identifier: Apache-2.0
"""The consumer of the BPF ring buffer, on memory laid out as the kernel lays it out."""

from __future__ import annotations

import mmap
import os
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.kernel import ringbuf as module
from tetrapy.kernel.ringbuf import RingBuffer

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = mmap.PAGESIZE
BUSY, DISCARD = 1 << 31, 1 << 30
SIZE = PAGE  # the smallest ring


class Producer:
    """The kernel's side of a ring: bpf_ringbuf_reserve, submit and discard.

    The file stands for the map: consumer's page, producer's page, and the data. The kernel maps
    the data twice in a row; what reads beyond the first mapping fails here.
    """

    def __init__(self, size: int = SIZE, start: int = 0) -> None:
        self.size = size
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * PAGE + size)
        self.position = start
        self._put(0, start)
        self._put(PAGE, start)

    def _put(self, offset: int, position: int) -> None:
        os.pwrite(self.fd, struct.pack("=Q", position), offset)

    @property
    def consumed(self) -> int:
        """The consumer's position, as the kernel reads it."""
        return int(struct.unpack("=Q", os.pread(self.fd, 8, 0))[0])

    @property
    def room(self) -> int:
        return self.size - (self.position - self.consumed)

    def _write(self, position: int, data: bytes) -> None:
        for index, byte in enumerate(data):
            at = 2 * PAGE + (position + index) % self.size
            os.pwrite(self.fd, bytes([byte]), at)

    def reserve(self, data: bytes) -> int:
        """Room for a record, which is busy until `finish`."""
        length = (len(data) + 8 + 7) & ~7
        assert length <= self.room
        position = self.position
        self._write(position, struct.pack("=II", len(data) | BUSY, 0xDEAD) + data)
        self.position += length
        self._put(PAGE, self.position)
        return position

    def finish(self, position: int, length: int, discard: bool = False) -> None:
        self._write(position, struct.pack("=I", length | (DISCARD if discard else 0)))

    def send(self, *records: bytes) -> None:
        for data in records:
            self.finish(self.reserve(data), len(data))

    def discard(self, data: bytes) -> None:
        self.finish(self.reserve(data), len(data), discard=True)


@pytest.fixture
def producer() -> Iterator[Producer]:
    producer = Producer()
    yield producer
    os.close(producer.fd)


@pytest.fixture
def ring(producer: Producer) -> Iterator[RingBuffer]:
    ring = RingBuffer(producer.fd, producer.size)
    yield ring
    ring.close()


def test_an_empty_ring(producer: Producer, ring: RingBuffer) -> None:
    """Nothing waits, nothing is taken, the position stays."""
    assert ring.drain(10) == []
    assert producer.consumed == 0


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 15, 16, 17, 1000, SIZE - 8])
def test_a_record_comes_out_as_it_went_in(producer: Producer, ring: RingBuffer, size: int) -> None:
    """A record of any length is its bytes without header and padding."""
    data = bytes(range(256)) * 16
    producer.send(data[:size])
    assert ring.drain(10) == [data[:size]]
    assert producer.consumed == (size + 15) // 8 * 8
    assert ring.drain(10) == []


def test_records_come_in_order(producer: Producer, ring: RingBuffer) -> None:
    """Oldest first, each once, also when more are sent between two looks."""
    producer.send(b"one", b"two")
    assert ring.drain(10) == [b"one", b"two"]
    producer.send(b"three")
    assert ring.drain(10) == [b"three"]


def test_at_most_so_many(producer: Producer, ring: RingBuffer) -> None:
    """The limit leaves the rest for the next look, and frees only what was taken."""
    producer.send(b"a", b"b", b"c")
    assert ring.drain(2) == [b"a", b"b"]
    assert producer.consumed == 32
    assert ring.drain(0) == []
    assert ring.drain(2) == [b"c"]


def test_at_most_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch ends behind the record that makes it a MiB, and says that more may wait."""
    monkeypatch.setattr(module, "_BATCH_BYTES", 100)
    producer = Producer()
    ring = RingBuffer(producer.fd, producer.size)
    try:
        producer.send(b"a" * 40, b"b" * 40, b"c" * 40, b"d")
        assert ring.drain(10) == [b"a" * 40, b"b" * 40, b"c" * 40]
        assert ring.more
        assert ring.drain(10) == [b"d"]
        assert not ring.more
        producer.send(b"e" * 500)  # one is taken, however long
        assert ring.drain(10) == [b"e" * 500]
        assert not ring.more
    finally:
        ring.close()
        os.close(producer.fd)


def test_whether_more_waits(producer: Producer, ring: RingBuffer) -> None:
    """Only what can be taken at once counts, not what is still being written."""
    producer.send(b"a", b"b")
    ring.drain(1)
    assert ring.more
    producer.reserve(b"c")
    ring.drain(5)
    assert not ring.more


def test_a_record_that_is_being_written_stops_the_look(
    producer: Producer, ring: RingBuffer
) -> None:
    """What stands behind a busy record waits for it, so that order is kept."""
    producer.send(b"first")
    busy = producer.reserve(b"second")
    producer.send(b"third")
    assert ring.drain(10) == [b"first"]
    assert ring.drain(10) == []
    producer.finish(busy, 6)
    assert ring.drain(10) == [b"second", b"third"]


def test_a_discarded_record_is_passed_over(producer: Producer, ring: RingBuffer) -> None:
    """A record that a program gave up makes room and is not shown; nor does it count."""
    producer.send(b"a")
    producer.discard(b"never" * 9)
    producer.send(b"b", b"c")
    assert ring.drain(2) == [b"a", b"b"]
    producer.discard(b"x")
    assert ring.drain(2) == [b"c"]
    assert ring.drain(2) == []
    assert producer.room == producer.size


def test_a_record_across_the_end_is_whole(producer: Producer, ring: RingBuffer) -> None:
    """A record that wraps reads as one piece, wherever in it the end of the data is."""
    record = bytes(range(1, 201))
    for _ in range(3 * SIZE // 208 + 3):
        producer.send(record, b"next")
        assert ring.drain(10) == [record, b"next"]


def test_a_full_ring(producer: Producer, ring: RingBuffer) -> None:
    """Every byte of the ring can be in use."""
    records = [bytes([number]) * 56 for number in range(SIZE // 64)]
    producer.send(*records)
    assert producer.room == 0
    assert ring.drain(1000) == records
    assert producer.room == SIZE


def test_positions_go_on_where_the_map_stands() -> None:
    """A ring that was in use before is read from its consumer's position on."""
    producer = Producer(start=SIZE * 1_000_003 + 24)
    producer.send(b"here")
    ring = RingBuffer(producer.fd, producer.size)
    assert ring.drain(10) == [b"here"]
    ring.close()
    os.close(producer.fd)


def test_positions_beyond_32_bits() -> None:
    """Positions count bytes for ever; 4 GiB is no boundary."""
    producer = Producer(start=(1 << 32) - 16)
    ring = RingBuffer(producer.fd, producer.size)
    producer.send(b"before", b"across the boundary", b"after")
    assert ring.drain(10) == [b"before", b"across the boundary", b"after"]
    ring.close()
    os.close(producer.fd)


def test_the_consumer_cannot_write_the_data(ring: RingBuffer) -> None:
    """The data is mapped for reading, the only way in which the kernel maps it."""
    with pytest.raises(TypeError, match="readonly"):
        ring._data[PAGE] = 1


def test_closing_leaves_the_map(producer: Producer, ring: RingBuffer) -> None:
    """The map's descriptor belongs to the BPF object."""
    ring.close()
    os.fstat(producer.fd)


steps = st.lists(
    st.tuples(st.just("send"), st.binary(max_size=300))
    | st.tuples(st.just("discard"), st.binary(max_size=300))
    | st.tuples(st.just("reserve"), st.binary(max_size=300))
    | st.tuples(st.just("finish"), st.integers(0, 3))
    | st.tuples(st.just("drain"), st.integers(0, 5)),
    max_size=60,
)


@pytest.mark.slow
@given(steps, st.integers(0, 2**40).map(lambda number: number * 8))
def test_any_course_of_a_ring(course: list[tuple[str, object]], start: int) -> None:
    """What is taken is what a queue would hold, whatever is sent, held back or given up."""
    producer = Producer(start=start)
    ring = RingBuffer(producer.fd, producer.size)
    queue: list[list[object]] = []  # [data, state], oldest first
    held: list[tuple[int, list[object]]] = []
    for step, value in course:
        if step == "drain":
            assert isinstance(value, int)
            expected = []
            while queue and queue[0][1] != "busy" and len(expected) < value:
                data, state = queue.pop(0)
                if state == "sent":
                    expected.append(data)
            assert ring.drain(value) == expected
            continue
        if step == "finish":
            if held:
                assert isinstance(value, int)
                position, entry = held.pop(value % len(held))
                assert isinstance(entry[0], bytes)
                producer.finish(position, len(entry[0]))
                entry[1] = "sent"
            continue
        assert isinstance(value, bytes)
        if len(value) + 16 > producer.room:
            continue
        entry = [value, {"send": "sent", "discard": "dropped", "reserve": "busy"}[step]]
        queue.append(entry)
        position = producer.reserve(value)
        if step == "reserve":
            held.append((position, entry))
        else:
            producer.finish(position, len(value), discard=step == "discard")
    ring.close()
    os.close(producer.fd)
