# SPDX-License-Identifier: Apache-2.0
"""Addresses of a process -> the files that are mapped there, and functions in them.

A process chooses its mappings and its files, so all that is done for it has a bound: bytes of its
list of mappings, symbols of a file, bytes of all that are kept, and processor time.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from functools import partial
from typing import List, Optional, Tuple

from tetrapy.abi.elf import FileBytes
from tetrapy.abi.function_names import FunctionNames
from tetrapy.errors import ElfError
from tetrapy.kernel.cached_path import open_cached
from tetrapy.named import NamedTuple
from tetrapy.process.files import host_files
from tetrapy.process.procfs import reads_of

MAX_MAPS = 256 << 10
"""Bytes of a list of mappings that are read: some three thousand."""
MAX_FILES, MAX_BYTES = 64, 32 << 20
"""Files whose functions are kept, and bytes of those."""
_SHARE = 0.1  # of a processor for reading files' symbols ...
_PATIENCE = 0.5  # seconds in which the files of a stack are to be read
_BURST = 0.5  # ... of which so many seconds may be saved up

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


class UserSymbols:
    """The functions of files that processes have mapped."""

    def __init__(self, procfs: str = "/proc") -> None:
        self._procfs = procfs
        self._lock = threading.Lock()  # a read may be given up, and end while others are made
        self._files: OrderedDict[_FileKey, Optional[FunctionNames]] = OrderedDict()
        self._bytes = 0
        self._saved = _BURST
        self._last = time.monotonic()

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
            functions = self._functions(fd, status)
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

    def _functions(self, fd: int, status: os.stat_result) -> Optional[FunctionNames]:
        key = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
                return self._files[key]
            if not self._may_read():
                return None
        begin = time.thread_time()
        functions: Optional[FunctionNames] = None
        try:
            functions = FunctionNames(FileBytes(fd))
        except (ElfError, OSError):
            pass  # no program, or one with more than is read here
        with self._lock:
            self._saved -= time.thread_time() - begin
            if key not in self._files:
                self._bytes += functions.size if functions is not None else 0
            self._files[key] = functions
            while len(self._files) > MAX_FILES or self._bytes > MAX_BYTES:
                _, oldest = self._files.popitem(last=False)
                self._bytes -= oldest.size if oldest is not None else 0
        return functions

    def _may_read(self) -> bool:
        """Whether there is processor time left for the symbols of another file."""
        now = time.monotonic()
        self._saved = min(self._saved + (now - self._last) * _SHARE, _BURST)
        self._last = now
        return self._saved > 0


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
