"""Reading a BPF ring buffer through its memory, without a callback per record.

Layout: Linux, kernel/bpf/ringbuf.c. One page with the consumer's position, one with the
producer's, then the data. Positions count bytes and only grow. A record is a 32-bit length with two
flag bits, 32 bits of padding, and its data, rounded up to 8 bytes.

The kernel would map the data twice in a row, so that no record wraps; but the second copy counts
as resident memory too, and putting the two ends of a rare record together is cheap.
"""

from __future__ import annotations

import mmap
import select
from struct import Struct
from typing import List

_POSITION = Struct("=Q")
_LENGTH = Struct("=I")
_BUSY = 1 << 31
_DISCARDED = 1 << 30
_LENGTH_MASK = _DISCARDED - 1
_HEADER_SIZE = 8


class RingBuffer:
    """The consumer of one ring buffer map of `size` bytes (a power of two)."""

    def __init__(self, map_fd: int, size: int) -> None:
        page = mmap.PAGESIZE
        self._size = size
        self._page = page
        self._consumer = mmap.mmap(map_fd, page, mmap.MAP_SHARED, offset=0)
        self._data = mmap.mmap(map_fd, page + size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._position = _POSITION.unpack_from(self._consumer)[0]
        self.fd = map_fd
        self.epoll_flags = select.EPOLLIN | select.EPOLLET

    def drain(self, limit: int) -> List[bytes]:
        """At most `limit` records, oldest first, taken out of the buffer."""
        data, page, mask = self._data, self._page, self._size - 1
        end_of_data = page + self._size
        length_of = _LENGTH.unpack_from
        position = self._position
        end = _POSITION.unpack_from(data)[0]
        records: List[bytes] = []
        while position < end and limit:
            at = page + (position & mask)
            length = length_of(data, at)[0]
            if length & _BUSY:
                break  # reserved, not yet written; everything behind it waits
            size = length & _LENGTH_MASK
            at += _HEADER_SIZE
            if not length & _DISCARDED:
                record = data[at : at + size]
                if at + size > end_of_data:
                    record += data[page : at + size - self._size]
                records.append(record)
                limit -= 1
            position += (size + _HEADER_SIZE + 7) & ~7
        if position != self._position:
            self._position = position
            _POSITION.pack_into(self._consumer, 0, position)
        return records

    def close(self) -> None:
        """Unmap the buffer; the map itself belongs to the BPF object."""
        self._consumer.close()
        self._data.close()
