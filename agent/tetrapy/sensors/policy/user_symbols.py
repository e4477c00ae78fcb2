# SPDX-License-Identifier: Apache-2.0
"""Addresses of a process -> the files that are mapped there, and functions in them.

A process chooses its mappings and its files, so all that is done for it has a bound: bytes of its
list of mappings, symbols of a file, bytes of all that are kept, and processor time. Who has used
the time up, or fills what is kept, takes nobody else's part.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from bisect import bisect_right
from collections import Counter, OrderedDict
from functools import partial
from typing import Hashable, List, Optional, Tuple

from tetrapy.abi.elf import FileBytes
from tetrapy.abi.function_names import FunctionNames
from tetrapy.errors import ElfError
from tetrapy.kernel.cached_path import open_cached
from tetrapy.named import NamedTuple
from tetrapy.process.files import host_files
from tetrapy.process.procfs import owner_of, reads_of

MAX_MAPS = 256 << 10
"""Bytes of a list of mappings that are read: some three thousand."""
MAX_FILES, MAX_BYTES = 64, 32 << 20
"""Files whose functions are kept, and bytes of those."""
_SHARE = 0.1  # of a processor for reading files' symbols
_OWN_SHARE = _SHARE / 8  # which each user or container has, whatever others do
_SAVED = 5.0  # seconds of a share that may be saved up
_OWNERS = 1024  # whose shares are remembered
_PATIENCE = 0.5  # seconds in which the files of a stack are to be read

_FileKey = Tuple[int, int, int, int]


class Mapping(NamedTuple):
    """A line of /proc/PID/maps."""

    start: int
    end: int
    offset: int  # in the file
    inode: int
    path: str
    device: int  # of the file system: major number << 20 | minor number


class UserSymbol(NamedTuple):
    """Where an address is; `name` is empty where no function is known."""

    offset: int  # in the file
    module: str
    name: str


class _Share:
    """Processor seconds, which come back with time."""

    def __init__(self, share: float) -> None:
        """`share` of a processor."""
        self._share = share
        self._left = share * _SAVED
        self._last = time.monotonic()

    def spend(self, seconds: float) -> bool:
        """Take some; whether there were any left."""
        now = time.monotonic()
        self._left = min(self._left + (now - self._last) * self._share, self._share * _SAVED)
        self._last = now
        had = self._left > 0
        self._left -= seconds
        return had


class UserSymbols:
    """The functions of files that processes have mapped."""

    def __init__(self, procfs: str = "/proc") -> None:
        self._procfs = procfs
        self._lock = threading.Lock()  # a read may be given up, and end while others are made
        # Those that were asked for last come last; and who had each of them read.
        self._files: OrderedDict[_FileKey, Tuple[Optional[FunctionNames], Hashable]] = OrderedDict()
        self._all = _Share(_SHARE)
        self._own: OrderedDict[Hashable, _Share] = OrderedDict()

    def find(self, pid: int, addresses: List[int]) -> List[Optional[UserSymbol]]:
        """What each address of a process is; empty when the process is gone, or keeps others from
        reading it.
        """
        reads = reads_of(self._procfs)
        return reads.one(pid, partial(self._read, addresses), deadline=_PATIENCE)

    def _read(self, addresses: List[int], pid: int, may_wait: bool) -> List[Optional[UserSymbol]]:
        maps = self._maps(pid) if may_wait else []
        if not maps:
            return []
        starts = [one.start for one in maps]
        found: List[Optional[UserSymbol]] = []
        for address in addresses:
            at = bisect_right(starts, address) - 1
            if at < 0:
                found.append(None)
                continue
            # As Tetragon has it, what is mapped nowhere belongs to what is mapped before it.
            one = maps[at]
            offset = address - one.start + one.offset
            name = self._name(pid, one, offset) if address < one.end and one.inode else ""
            found.append(UserSymbol(offset & 0xFFFF_FFFF_FFFF_FFFF, one.path, name))
        return found

    def _maps(self, pid: int) -> List[Mapping]:
        try:
            with open(f"{self._procfs}/{pid}/maps", "rb") as file:
                data = file.read(MAX_MAPS)
        except OSError:
            return []
        lines = data.split(b"\n")
        lines.pop()  # empty, or cut
        return [parse_mapping(line) for line in lines]

    def _name(self, pid: int, one: Mapping, offset: int) -> str:
        if not host_files(self._procfs).answers(one.device):
            return ""  # who opens a user's own file may wait for ever
        try:
            fd = self._open(pid, one)
        except OSError:
            return ""
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_ino != one.inode:
                return ""
            functions = self._functions(fd, status, pid)
        finally:
            os.close(fd)
        return functions.find(offset) if functions is not None else ""

    def _open(self, pid: int, one: Mapping) -> int:
        """What is mapped, also where its path leads elsewhere by now. Raises OSError."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        place = f"{self._procfs}/{pid}"
        try:
            return os.open(f"{place}/map_files/{one.start:x}-{one.end:x}", flags)
        except OSError:  # needs CAP_CHECKPOINT_RESTORE
            found = open_cached(f"{place}/root".encode(), os.fsencode(one.path))
        try:
            return os.open(f"/proc/self/fd/{found}", flags)
        finally:
            os.close(found)

    def _functions(self, fd: int, status: os.stat_result, pid: int) -> Optional[FunctionNames]:
        key = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
                return self._files[key][0]
        owner = owner_of(self._procfs, pid)
        with self._lock:
            if not self._spend(owner, 0):
                return None
        begin = time.thread_time()
        functions: Optional[FunctionNames] = None
        try:
            functions = FunctionNames(FileBytes(fd))
        except (ElfError, OSError):
            pass  # no program, or one with more than is read here
        with self._lock:
            self._spend(owner, time.thread_time() - begin)
            self._files[key] = (functions, owner)
            self._make_room()
        return functions

    def _make_room(self) -> None:
        """Of whoever has most kept the file goes that was asked for longest ago."""
        while True:
            sizes = [
                (owner, functions.size if functions is not None else 0)
                for functions, owner in self._files.values()
            ]
            if len(sizes) <= MAX_FILES and sum(size for _, size in sizes) <= MAX_BYTES:
                return
            shares: Counter[Hashable] = Counter()
            for owner, size in sizes:
                shares[owner] += size * MAX_FILES + MAX_BYTES
            ((most, _),) = shares.most_common(1)
            del self._files[next(key for key, (_, owner) in self._files.items() if owner == most)]

    def _spend(self, owner: Hashable, seconds: float) -> bool:
        """Take processor time; whether the owner, or all together, had any left."""
        own = self._own.pop(owner, None) or _Share(_OWN_SHARE)
        self._own[owner] = own
        if len(self._own) > _OWNERS:
            self._own.popitem(last=False)
        had = self._all.spend(seconds)
        return own.spend(seconds) or had


def parse_mapping(line: bytes) -> Mapping:
    """A line of /proc/PID/maps: addresses, rights, offset, device, inode, path.

    Raises ValueError.
    """
    words = line.split(None, 5)
    start, _, end = words[0].partition(b"-")
    path = words[5].decode("utf-8", "replace") if len(words) > 5 else ""
    major, _, minor = words[3].partition(b":")
    device = int(major, 16) << 20 | int(minor, 16)
    return Mapping(int(start, 16), int(end, 16), int(words[2], 16), int(words[4]), path, device)
