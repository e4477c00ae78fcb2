# SPDX-License-Identifier: Apache-2.0
"""Who descends from whom, for selectors that ask: the kernel side's images, while policies ask.

The programs note whoever is forked or executed; of processes that are older than a filter what it
looks at is read from procfs. One of which nothing is noted counts as what each filter wants.
"""

from __future__ import annotations

import os
from typing import Dict, List, Mapping, Optional

from tetrapy.kernel import links
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.maps import BpfMap, write_u32
from tetrapy.named import NamedTuple
from tetrapy.process.procfs import (
    TICK_NS,
    ProcfsProcess,
    list_pids,
    place_of,
    read_context,
    read_process,
    read_processes,
    reads_of,
)
from tetrapy.sensors.policy.marks import SETS, UNKNOWN, Claim, Marks, Seen
from tetrapy.sensors.policy.programs import Programs
from tetrapy.sensors.policy.tables import ImageRow

_PASSES = 8  # over procfs: processes that are forked meanwhile by one that was not noted yet
_PROGRAMS: Mapping[str, str] = {
    "lineage_fork": "sched_process_fork",
    "lineage_exec": "sched_process_exec",
    "lineage_free": "sched_process_free",
}
_DEEP = "lineage_exec_deep"


class _Noted(NamedTuple):
    """A process that was looked at."""

    row: ImageRow
    binary: int  # the marks of what it ran then


class Lineage:
    """The images of the kernel side, which are kept while a claim asks for them."""

    def __init__(self, programs: Programs, procfs: str) -> None:
        self._marks = Marks()
        self._programs = programs
        self._procfs = procfs
        self._object: Optional[BpfObject] = None
        self._links: List[links.Link] = []
        self._slots: Dict[str, int] = {}  # of the sets, by their names
        self._images_fd = -1
        self._left = False

    def claim(self) -> Claim:
        """What a policy may ask; to be given back by `release`."""
        return self._marks.claim()

    def release(self, claim: Claim) -> None:
        """A policy is gone, and with the last one that asks what is kept for it."""
        self._marks.release(claim)
        if not self._marks.asked:
            self.close()

    def follow(self) -> None:
        """Have images kept for all claims, of processes that are there too.

        Raises KernelError, OSError.
        """
        if not self._marks.asked:
            return
        if self._object is None:
            self._start()
        elif self._marks.fresh:
            self._fill_sets()
        else:
            return
        writer = self._programs.writer
        self._note_all(BpfMap(self._images_fd, writer.images.key, writer.images.value))
        # Policies are loaded with rights that are given up afterwards.
        reads_of(self._procfs).rest()
        self._marks.stale &= ~self._marks.fresh
        self._marks.fresh = 0

    def _start(self) -> None:
        slots = self._programs.slots
        try:
            self._slots = dict(zip(SETS, slots.reserve_sets(len(SETS))))
            self._fill_sets()
            self._images_fd = slots.make_images()
            loaded = self._object = self._programs.load_raw(
                (*_PROGRAMS, _DEEP), self._slots, "lineage"
            )
            write_u32(loaded.map_fd("lineage_steps"), 0, loaded.program_fds()[_DEEP])
            for program, event in _PROGRAMS.items():
                self._links.append(links.attach_raw_tracepoint(loaded, program, event))
        except BaseException:
            self.close()
            raise

    def _fill_sets(self) -> None:
        """Each is replaced at once."""
        for name, (members, marks) in self._marks.sets().items():
            self._programs.slots.fill_set(self._slots[name], members, marks)

    def link_fds(self) -> List[int]:
        """File descriptors of what notes processes, which stay this object's."""
        return [link.fd for link in self._links]

    def array_fds(self) -> List[int]:
        """... and of the array of programs that these run."""
        return [] if self._object is None else [self._object.map_fd("lineage_steps")]

    def leave(self) -> None:
        """Leave all as it is: a policy stays that needs it."""
        self._left = True

    def close(self) -> None:
        """Stop, and forget all images. Safe to call twice."""
        if self._left:
            return
        while self._links:
            self._links.pop().close()
        if self._object is not None:
            self._object.close()
        self._object = None
        slots = self._programs.slots
        if self._images_fd >= 0:
            os.close(self._images_fd)
            slots.drop_map("images")
            slots.drop_map("image_counts")
            self._images_fd = -1
        slots.give_back((), list(self._slots.values()))
        self._slots = {}
        self._marks.stale = 0

    def _note_all(self, images: BpfMap) -> None:
        noted: Dict[int, _Noted] = {}
        for _ in range(_PASSES):
            pids = [pid for pid in list_pids(self._procfs) if pid not in noted]
            found = {
                process.pid: process
                for process in read_processes(self._procfs, pids)
                if process is not None
            }
            if not found:
                break
            for pid in found:
                self._note(images, pid, found, noted)
        for pid, one in noted.items():
            self._recheck(images, pid, one)

    def _note(
        self,
        images: BpfMap,
        pid: int,
        found: Dict[int, ProcfsProcess],
        noted: Dict[int, _Noted],
    ) -> None:
        """Note a process, after those that it descends from."""
        chain = []
        while pid in found and pid not in noted and pid not in chain:
            chain.append(pid)
            pid = found[pid].parent_pid
        for one in reversed(chain):
            process = found[one]
            above = noted.get(process.parent_pid)
            binary, pids = self._marks.of(self._seen(process))
            row = ImageRow(
                start=process.start,
                marks=binary,
                followed=binary | pids | (above.row.followed if above else 0),
                parent_marks=above.row.marks if above else 0,
                parent_followed=above.row.followed if above else 0,
            )
            key = self._programs.writer.pid(one)
            data = images.get(key)
            if data is None:
                row = self._with_context(one, row)
                # What the programs noted meanwhile is newer.
                images.put_new(key, self._programs.writer.image(row))
            else:
                before = self._programs.writer.image_row(data)
                if not _is_same(before, process.start):
                    continue  # another process has the pid by now
                row = self._marked(before, row)
                if row != before:
                    images.replace(key, self._programs.writer.image(row))
            noted[one] = _Noted(row, binary)

    def _with_context(self, pid: int, row: ImageRow) -> ImageRow:
        context = read_context(self._procfs, pid)
        if context is None:
            return row
        return row._replace(
            capabilities=tuple(context.capabilities), namespaces=tuple(context.namespaces)
        )

    def _marked(self, row: ImageRow, seen: ImageRow) -> ImageRow:
        """An image with the bits that are fresh as they were seen."""
        keep = ~(self._marks.stale & self._marks.fresh)
        fresh = self._marks.fresh | UNKNOWN
        return row._replace(
            marks=row.marks & keep | seen.marks & fresh,
            followed=row.followed & keep | seen.followed & fresh,
            parent_marks=row.parent_marks & keep | seen.parent_marks & fresh,
            parent_followed=row.parent_followed & keep | seen.parent_followed & fresh,
        )

    def _seen(self, process: ProcfsProcess) -> Seen:
        if process.is_kernel_thread:
            path: Optional[bytes] = b""
        else:  # one that may not be looked at counts as what its events say
            path = reads_of(self._procfs).one(process.pid, self._path)
            path = path or process.binary.encode() or None
        file = process.file
        is_hosts = file is None or (file.is_known and not file.foreign)
        return Seen(path, process.pid, process.inner_pid, is_hosts)

    def _path(self, pid: int, may_wait: bool) -> bytes:
        """Of the file that runs, as the process sees it; empty where it cannot be read."""
        base = os.fsencode(os.path.join(self._procfs, str(pid)))
        path, _ = place_of(base + b"/exe", base + b"/root", may_wait=may_wait)
        try:
            root = os.readlink(base + b"/root")
        except OSError:
            return path
        if root != b"/" and path.startswith(root + b"/"):
            path = path[len(root) :]
        return path

    def _recheck(self, images: BpfMap, pid: int, noted: _Noted) -> None:
        """A process may have executed something between the look and the note."""
        process = read_process(self._procfs, pid)
        if process is None or not _is_same(noted.row, process.start):
            return
        binary, _ = self._marks.of(self._seen(process))
        key = self._programs.writer.pid(pid)
        data = None if binary == noted.binary else images.get(key)
        row = self._programs.writer.image_row(data) if data is not None else None
        if row is None or row.marks == binary:
            return
        if not row.forked:
            row = row._replace(parent_marks=row.marks, parent_followed=row.followed)
        row = row._replace(marks=binary, followed=row.followed | binary, forked=0)
        images.replace(key, self._programs.writer.image(row))


def _is_same(row: ImageRow, start: int) -> bool:
    """Whether an image is of the process that procfs says began then, in whole ticks."""
    return row.start - row.start % TICK_NS == start - start % TICK_NS
