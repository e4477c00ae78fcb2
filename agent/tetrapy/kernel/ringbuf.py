# SPDX-License-Identifier: Apache-2.0
"""Reading a BPF ring buffer through its memory, without a callback per record.

Layout: Linux, kernel/bpf/ringbuf.c. One page with the consumer's position, one with the
producer's, then the data. Positions count bytes and only grow. A record is a 32-bit length with two
flag bits, 32 bits of padding, and its data, rounded up to 8 bytes.

The kernel would map the data twice in a row, so that no record wraps; but the second copy counts
as resident memory too, and putting the two ends of a rare record together is cheap.
"""

from __future__ import annotations

import select
from typing import List

from tetrapy.kernel.shared_memory import (
    LOADS_IN_ORDER,
    PAGE,
    Fence,
    Word,
    map_memory,
    words32,
)

_BUSY = 1 << 31
_DISCARDED = 1 << 30
_LENGTH_MASK = _DISCARDED - 1
_HEADER_SIZE = 8
_BATCH_BYTES = 1 << 20  # of the buffer, after which a batch takes no further record


class RingBuffer:
    """The consumer of one ring buffer map of `size` bytes (a power of two)."""

    settle_seconds = 0.0  # records are in order as they are

    def __init__(self, map_fd: int, size: int) -> None:
        self.size = self._size = size
        self._data = map_memory(map_fd, PAGE + size, PAGE)
        self._consumer_page = map_memory(map_fd, PAGE, writable=True)
        self._lengths = words32(self._data)
        self._producer = Word(self._data, 0, 8)
        self._consumer = Word(self._consumer_page, 0, 8)
        self._position = self._consumer.load()
        self._fence = Fence()
        self.more = False  # whether the last batch was as large as it may be
        self.fd = map_fd
        self.epoll_flags = select.EPOLLIN | select.EPOLLET

    def drain(self, limit: int, everything: bool = False) -> List[bytes]:
        """At most `limit` records, oldest first, taken out of the buffer; none has to settle.

        A batch ends behind the record that makes it 1 MiB.
        """
        data, lengths, mask = self._data, self._lengths, self._size - 1
        end_of_data = PAGE + self._size
        position = self._position
        written = self._producer.load()
        end = min(written, position + _BATCH_BYTES)
        if not LOADS_IN_ORDER:
            self._fence()
        records: List[bytes] = []
        while position < end and limit:
            at = PAGE + (position & mask)
            length = lengths[at >> 2]
            if length & _BUSY:
                break  # reserved, not yet written; everything behind it waits
            if not LOADS_IN_ORDER:
                self._fence()
            size = length & _LENGTH_MASK
            at += _HEADER_SIZE
            if not length & _DISCARDED:
                record = data[at : at + size]
                if at + size > end_of_data:
                    record += data[PAGE : at + size - self._size]
                records.append(record)
                limit -= 1
            position += (size + _HEADER_SIZE + 7) & ~7
        self.more = position < written and (not limit or position >= end)
        if position != self._position:
            self._position = position
            if not LOADS_IN_ORDER:
                self._fence()
            self._consumer.store(position)
        return records

    def close(self) -> None:
        """Unmap the buffer; the map itself belongs to the BPF object."""
        for view in (self._lengths, self._producer, self._consumer):
            view.release()
        self._consumer_page.close()
        self._data.close()
