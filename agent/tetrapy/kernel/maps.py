# SPDX-License-Identifier: Apache-2.0
"""Reading and writing maps through their file descriptors."""

from __future__ import annotations

import ctypes
import errno as errnos
import os
from functools import lru_cache
from struct import Struct
from typing import Iterator, List, Optional, Tuple

from tetrapy.errors import KernelError
from tetrapy.kernel.libbpf import MapCreateOptions, error_text, last_errno, libbpf

_AFFINITY = {"x86_64": 204, "aarch64": 123}  # number of sched_getaffinity(2)
_MAX_CPUS = 1 << 16
_INDEX_BYTES, COUNTER_BYTES = 4, 8


@lru_cache(maxsize=None)
def cpu_limit() -> int:
    """As many CPUs as this kernel can have, or a few more: room for what per-CPU maps give.

    Asked of a system call, whose answer is as long as the kernel's own sets of CPUs: no file system
    needs to be mounted. Raises KernelError when the kernel refuses to tell.
    """
    mask = ctypes.create_string_buffer(_MAX_CPUS // 8)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    number = ctypes.c_long(_AFFINITY[os.uname().machine])
    size = int(syscall(number, ctypes.c_long(0), ctypes.c_ulong(len(mask)), mask))
    if size <= 0:
        errno = ctypes.get_errno()
        raise KernelError(f"number of CPUs: {os.strerror(errno)}", errno)
    return size * 8


def read_counters(map_fd: int, entries: int) -> List[int]:
    """A per-CPU array of 64-bit counters, summed over the CPUs: one number per entry.

    Raises KernelError when the map cannot be read.
    """
    per_cpu = (ctypes.c_uint64 * cpu_limit())()  # what the kernel does not fill in stays 0
    totals = []
    for index in range(entries):
        _look_up(map_fd, index, per_cpu)
        totals.append(sum(per_cpu))
    return totals


def read_row(map_fd: int, index: int, counters: int) -> List[int]:
    """An entry of a per-CPU array that is 64-bit counters, each summed over the CPUs.

    Raises KernelError when the map has other sizes, or cannot be read.
    """
    expect_sizes(map_fd, _INDEX_BYTES, counters * COUNTER_BYTES)
    per_cpu = (ctypes.c_uint64 * (counters * cpu_limit()))()
    _look_up(map_fd, index, per_cpu)
    row = Struct(f"={counters}Q")
    data, nothing = bytes(per_cpu), bytes(row.size)
    starts = range(0, len(data), row.size)
    # Most rows are of CPUs that are not there, or have not counted.
    rows = [row.unpack_from(data, at) for at in starts if data[at : at + row.size] != nothing]
    return [sum(column) for column in zip(*rows)] or [0] * counters


def clear_row(map_fd: int, index: int, counters: int) -> None:
    """Have such an entry be 0 on all CPUs. Raises KernelError when the kernel refuses it."""
    put(map_fd, Struct("=I").pack(index), bytes(counters * COUNTER_BYTES * cpu_limit()))


def _look_up(map_fd: int, index: int, per_cpu: ctypes.Array[ctypes.c_uint64]) -> None:
    key = ctypes.c_uint32(index)
    if libbpf().bpf_map_lookup_elem(map_fd, ctypes.byref(key), ctypes.byref(per_cpu)):
        errno = last_errno()
        raise KernelError(f"counter {index}: {error_text(errno)}", errno)


def write_u32(map_fd: int, index: int, value: int) -> None:
    """Put a 32-bit value into an array.

    Raises KernelError when the kernel refuses it.
    """
    key, data = ctypes.c_uint32(index), ctypes.c_uint32(value)
    if libbpf().bpf_map_update_elem(map_fd, ctypes.byref(key), ctypes.byref(data), 0):
        errno = last_errno()
        raise KernelError(f"map entry {index}: {error_text(errno)}", errno)


def expect_sizes(map_fd: int, key_size: int, value_size: int) -> None:
    """Hold a map to the sizes of its keys and values, in bytes.

    Raises KernelError when they are others, or the kernel does not tell them.
    """
    info = (ctypes.c_uint32 * 4)()  # struct bpf_map_info: type, id, key_size, value_size, ...
    size = ctypes.c_uint32(ctypes.sizeof(info))
    if libbpf().bpf_map_get_info_by_fd(map_fd, ctypes.byref(info), ctypes.byref(size)):
        errno = last_errno()
        raise KernelError(f"information on a map: {error_text(errno)}", errno)
    if (info[2], info[3]) != (key_size, value_size):
        raise KernelError(
            f"a map has keys of {info[2]} and values of {info[3]} bytes, not {key_size} and"
            f" {value_size}"
        )


# enum bpf_map_type (include/uapi/linux/bpf.h)
HASH, ARRAY, PERCPU_ARRAY, LRU_HASH, LPM_TRIE = 1, 2, 6, 9, 11
NO_PREALLOC = 1  # BPF_F_NO_PREALLOC


def create_map(kind: int, name: str, sizes: Tuple[int, int], entries: int, flags: int = 0) -> int:
    """The file descriptor of a new map, which belongs to the caller; `sizes` of key and value.

    Raises KernelError when the kernel refuses it.
    """
    options = MapCreateOptions(size=ctypes.sizeof(MapCreateOptions), map_flags=flags)
    fd = libbpf().bpf_map_create(kind, name.encode(), *sizes, entries, ctypes.byref(options))
    if fd < 0:
        errno = last_errno()
        raise KernelError(f"a map for {name}: {error_text(errno)}", errno)
    return int(fd)


def put(map_fd: int, key: bytes, value: bytes) -> None:
    """Set an entry; both must have the sizes of the map. Raises KernelError."""
    if libbpf().bpf_map_update_elem(map_fd, key, value, 0):
        errno = last_errno()
        raise KernelError(f"map update: {error_text(errno)}", errno)


def drop(map_fd: int, key: bytes) -> None:
    """Take an entry out, if it is there. Raises KernelError."""
    if libbpf().bpf_map_delete_elem(map_fd, key):
        errno = last_errno()
        if errno != errnos.ENOENT:
            raise KernelError(f"map deletion: {error_text(errno)}", errno)


# Flags of an update: BPF_ANY, BPF_NOEXIST, BPF_EXIST (include/uapi/linux/bpf.h).
_ANY, _NOEXIST, _EXIST = 0, 1, 2


class BpfMap:
    """A hash of fixed sizes: keys and values are bytes."""

    def __init__(self, fd: int, key_size: int, value_size: int) -> None:
        """`fd` belongs to the object that the map is of.

        Raises KernelError when the map's sizes are others: the kernel would write beyond `get`'s
        buffer.
        """
        expect_sizes(fd, key_size, value_size)
        self._fd = fd
        self._key_size = key_size
        self._value = ctypes.create_string_buffer(value_size)
        self._value_size = value_size

    def get(self, key: bytes) -> Optional[bytes]:
        """The value; None when there is none.

        Raises KernelError when the kernel refuses the look-up.
        """
        if libbpf().bpf_map_lookup_elem(self._fd, self._sized(key), self._value):
            self._expect("look-up", errnos.ENOENT)
            return None
        return self._value.raw

    def put(self, key: bytes, value: bytes) -> bool:
        """Set a value; False when the map is full.

        Raises KernelError when the kernel refuses it otherwise.
        """
        return self._update(key, value, _ANY, errnos.E2BIG)

    def put_new(self, key: bytes, value: bytes) -> bool:
        """Put a value for a key that is not there yet; False when it is, or the map is full."""
        return self._update(key, value, _NOEXIST, errnos.EEXIST, errnos.E2BIG)

    def replace(self, key: bytes, value: bytes) -> bool:
        """Set the value of a key that is there; False when it is not."""
        return self._update(key, value, _EXIST, errnos.ENOENT)

    def delete(self, key: bytes) -> bool:
        """Take a key out; False when it is not there.

        Raises KernelError when the kernel refuses it otherwise.
        """
        if libbpf().bpf_map_delete_elem(self._fd, self._sized(key)):
            self._expect("deletion", errnos.ENOENT)
            return False
        return True

    def __iter__(self) -> Iterator[bytes]:
        """The keys; those that come and go meanwhile may be missed.

        Raises KernelError when the kernel refuses it.
        """
        key: Optional[bytes] = None
        following = ctypes.create_string_buffer(self._key_size)
        while True:
            if libbpf().bpf_map_get_next_key(self._fd, key, following):
                self._expect("walk", errnos.ENOENT)
                return
            key = following.raw
            yield key

    def _sized(self, key: bytes) -> bytes:
        if len(key) != self._key_size:
            raise ValueError(f"a key of {len(key)} bytes, not {self._key_size}")
        return key

    def _update(self, key: bytes, value: bytes, how: int, *harmless: int) -> bool:
        if len(value) != self._value_size:
            raise ValueError(f"a value of {len(value)} bytes, not {self._value_size}")
        if libbpf().bpf_map_update_elem(self._fd, self._sized(key), value, how):
            self._expect("update", *harmless)
            return False
        return True

    def _expect(self, what: str, *harmless: int) -> None:
        errno = last_errno()
        if errno not in harmless:
            raise KernelError(f"map {what}: {error_text(errno)}", errno)
