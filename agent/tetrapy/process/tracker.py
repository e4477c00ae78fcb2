# SPDX-License-Identifier: Apache-2.0
"""Records of the kernel -> process table and events (rules: Tetragon's events, section 7)."""

from __future__ import annotations

from typing import Dict, Optional, Protocol, Tuple

from tetrapy.containers.cgroup import container_of_names, outermost_of_names
from tetrapy.errors import FormatError
from tetrapy.events import flags
from tetrapy.events.account import account_of
from tetrapy.events.decoder import EventAbi
from tetrapy.events.exec import ProcessExec
from tetrapy.events.executed import UNREPORTED, ExecutedFile
from tetrapy.events.exit import ProcessExit
from tetrapy.events.process import Process
from tetrapy.events.records import ExecRecord, ExitRecord, ForkRecord
from tetrapy.events.text import absolute_path, arguments_text, to_text
from tetrapy.kernel.clock import WallClock
from tetrapy.process.details import Details
from tetrapy.process.inherit import inherit
from tetrapy.process.replaced_images import ReplacedImages
from tetrapy.process.table import ProcessTable

# Tetragon hands arguments and long paths over in separate messages and says so in the flags. The
# sizes at which it does so: bpf/process/bpf_execve_event.h, read_args() and read_path().
_LONG_PATH = 254
_LONG_DATA = 960
_DESCRIPTOR = 32  # bytes that stand for a path sent apart: struct data_event_desc

_RECENT_EXITS = 256

DELETED = " (deleted)"  # as procfs and Tetragon say of a working directory


class Ended(Protocol):
    """Where images go that ended."""

    def keep(self, process: Process) -> None:
        """A process has ended."""


class ProcessTracker:
    """Keeps the process table in step with the kernel."""

    def __init__(
        self,
        table: ProcessTable,
        clock: WallClock,
        abi: EventAbi,
        details: Optional[Details] = None,
    ) -> None:
        """`details` is None when nothing beyond the usual is asked for."""
        self.table = table
        self._abi = abi
        exec_flags = abi.exec_flags
        self._clock = clock
        self._details = details
        self._with_ancestors = table.keeps_ancestors
        self._replaced = ReplacedImages()
        self.ended: Optional[Ended] = None  # of who asks for the images that ended
        self.starting = False  # while records are handled that came before procfs was read
        # (pid, start) -> whether it was in the tree of a container's first process
        self._recent_exits: Dict[Tuple[int, int], bool] = {}
        self._older_exits: Dict[Tuple[int, int], bool] = {}
        self._cwd_root = exec_flags["EXEC_CWD_ROOT"]
        self._cloned = exec_flags["EXEC_CLONED"]
        self._suppressed = exec_flags["EXEC_SUPPRESSED"]
        # Most execs raise none of these, so one look tells.
        self._rare = {
            exec_flags["EXEC_PATH_ERROR"]: flags.ERROR_FILENAME,
            exec_flags["EXEC_ARGS_ERROR"]: flags.ERROR_ARGS,
            exec_flags["EXEC_ARGS_TRUNCATED"]: flags.TRUNC_ARGS,
            exec_flags["EXEC_CWD_PARTIAL"]: flags.ERROR_PATH_COMPONENTS,
            exec_flags["EXEC_CWD_ERROR"]: flags.ERROR_CWD,
            exec_flags["EXEC_CGROUP_ERROR"]: flags.ERROR_CGROUP_NAME,
            exec_flags["EXEC_CGROUP_PARTIAL"]: flags.ERROR_CGROUP_NAME,
            exec_flags["EXEC_ENV_ERROR"]: flags.ERROR_ENVS,
        }
        self._cwd_deleted = exec_flags["EXEC_CWD_DELETED"]
        self._file_unreported = exec_flags["EXEC_FILE_UNREPORTED"]
        self._rare_mask = sum(self._rare) | self._cwd_deleted | self._file_unreported

    def on_fork(self, record: ForkRecord) -> None:
        """A process that runs its creator's image; it makes no event."""
        table = self.table
        pid, start = record.pid, record.start
        creator = self._creator(record)
        if record.parent_pid == record.creator_pid:
            self._replaced.reported(record.creator_pid, record.creator_start, record.start)
        if table.find(pid, start) is not None or self.has_ended(pid, start):
            return  # procfs showed it first, or it is reported twice
        if creator is None:
            # Its records were lost and it is gone; the child may still be there.
            there = table.find_or_read(pid, start)
            if there is not None:
                there.refcnt = 1  # no exec event tells of what procfs shows
                return
            creator = table.unknown(record.creator_pid, record.creator_start)
            parent = None
        else:
            parent = creator
        if record.parent_pid != record.creator_pid:
            parent = table.find_or_read(record.parent_pid, record.parent_start)
        process = table.new(pid, start, record.ktime)
        inherit(process, creator, image=True)
        process.flags = flags.EXECVE
        process.refcnt = 1
        if record.inner_pid == 1 or (parent is not None and parent.in_init_tree):
            process.in_init_tree = True
            process.flags |= flags.IN_INIT_TREE
        process.parent = parent
        if parent is None:
            process.parent_exec_id = table.exec_id(record.parent_pid, record.parent_start)
        table.put(process)

    def _creator(self, record: ForkRecord) -> Optional[Process]:
        """The image that the new process runs: what its creator ran when it forked."""
        pid, start = record.creator_pid, record.creator_start
        creator = self.table.find(pid, start)
        if creator is not None and creator.ktime <= record.ktime:
            return creator
        replaced = self._replaced.find(pid, start, record.ktime)
        if replaced is not None:
            return replaced
        if creator is None:
            return self.table.find_or_read(pid, start)
        # Of an image that was not kept nothing is known; the present one was executed later.
        return creator if creator.from_procfs else None

    def on_exec(
        self, record: ExecRecord, data: bytes, at: int, arguments: bytes, environment: bytes = b""
    ) -> Optional[ProcessExec]:
        """A new image. The record's variable parts begin at `at` in `data`.

        `arguments` are those that came in records of their own, empty when they are in `data`.
        None for an image of which nobody wants events. Raises FormatError when the parts do not fit
        into `data`.
        """
        table = self.table
        (
            ktime,
            start,
            parent_start,
            fork_parent_start,
            _,
            pid,
            parent_pid,
            fork_parent_pid,
            uid,
            auid,
            inner_pid,
            found,
            path_size,
            args_size,
            cwd_size,
            cgroup_size,
            context_size,
            file_size,
            _,
            deferred_children,
            real_uid,
        ) = record
        end = at + path_size
        path = to_text(data[at:end])
        if not arguments:
            at, end = end, end + args_size
            arguments = data[at:end]
        at, end = end, end + cwd_size
        process = table.new(pid, start, ktime)
        bits = flags.EXECVE
        if found & self._cwd_root:
            bits |= flags.ROOT_CWD
            process.cwd = "/"
        else:
            process.cwd = to_text(data[at:end])
        at, end = end, end + cgroup_size
        outermost = ""
        if cgroup_size:
            names = data[at:end]
            outermost = outermost_of_names(names)
            container = container_of_names(names)
            if container is not None:
                process.docker = container.docker
                process.container = table.containers(container)
        at, context_end = end, end + context_size
        end = context_end + file_size
        if end > len(data):
            raise FormatError(f"exec record of {len(data)} bytes, {end} by its own sizes")
        if found & self._rare_mask:
            for bit, flag in self._rare.items():
                if found & bit:
                    bits |= flag
            if found & self._cwd_deleted:
                process.cwd += DELETED
            if found & self._file_unreported:
                process.executed = UNREPORTED
        process.uid = uid
        process.auid = auid
        process.binary = path if path[:1] == "/" else absolute_path(path, process.cwd)
        if file_size:
            process.executed = self._file(data[context_end:end], process)
        process.arguments = arguments_text(arguments)
        if path_size >= _LONG_PATH:
            bits |= flags.DATA_FILENAME
        if len(arguments) + path_size >= _LONG_DATA:
            bits |= _data_arguments(arguments, path_size)

        former = table.at(pid)
        if former is not None and former.start != start:
            former = table.find(pid, start)
        cloned = found & self._cloned or (former is not None and former.refcnt)
        if former is not None and not cloned:
            parent: Optional[Process] = former  # without a fork: the image that is replaced
        else:
            parent = table.at(parent_pid)
            if parent is None or parent.start != parent_start:
                parent = table.find_or_read(parent_pid, parent_start)
        if cloned:
            bits |= flags.CLONE
            # The first news of a process whose fork was deferred: none runs its creator's image
            # now.
            if former is None and self._replaced and not found & self._suppressed:
                self._replaced.reported(fork_parent_pid, fork_parent_start, start)
        if deferred_children and former is not None:
            self._replaced.keep(former, deferred_children, ktime)
        heir_of = parent if former is None else former
        if former is None and fork_parent_pid not in {0, parent_pid}:
            is_inside = self._was_in_init_tree(fork_parent_pid, fork_parent_start)
        else:
            is_inside = heir_of is not None and heir_of.in_init_tree
        if is_inside or inner_pid == 1:
            bits |= flags.IN_INIT_TREE
            process.in_init_tree = True
        # Whoever hides in a cgroup deeper than is read was in its container before.
        if bits & flags.ERROR_CGROUP_NAME and heir_of is not None:
            outermost = heir_of.account.container
            if not process.docker:
                process.docker = heir_of.docker
                process.container = heir_of.container
        process.account = account_of(real_uid, outermost, parent)
        process.flags = bits
        if self._details is not None:
            self._details.of_exec(process, data[at:context_end], environment)
        process.start_time = self._clock.offset + ktime  # a call of `at` costs 700 instructions
        process.parent = parent
        if parent is None:
            process.parent_exec_id = table.exec_id(parent_pid, parent_start)
        else:
            process.parent_exec_id = (parent if parent.start_time else self.shown(parent)).exec_id
        table.put(process)
        if found & self._suppressed:
            process.suppressed = True
            return None
        ancestors = self.ancestors(parent) if self._with_ancestors else ()
        return ProcessExec(process, parent, ancestors)

    def _file(self, part: bytes, process: Process) -> Optional[ExecutedFile]:
        """The file of an exec; None if it is the host's at the path."""
        abi = self._abi
        bits = abi.file_flags
        if len(part) < abi.file_size:
            raise FormatError(f"a file of an exec, of {len(part)} bytes")
        inode, device, links, found = abi.unpack_file(part)
        path = to_text(part[abi.file_size :])
        if not found and path == process.binary:
            return None
        file = ExecutedFile(
            path,
            inode,
            links,
            device,
            deleted=bool(found & bits["FILE_DELETED"]),
            foreign=bool(found & bits["FILE_FOREIGN"]),
            interpreter=bool(found & bits["FILE_INTERPRETER"]),
            partial=bool(found & bits["FILE_PARTIAL"]),
        )
        return file.of(process.binary, process.docker, self.table.with_files)

    def has_ended(self, pid: int, start: int) -> bool:
        """Whether its end was reported a short while ago."""
        return (pid, start) in self._recent_exits or (pid, start) in self._older_exits

    def _was_in_init_tree(self, pid: int, start: int) -> bool:
        """Whether the parent at the fork, which may have ended since, was in such a tree."""
        parent = self.table.find(pid, start)
        if parent is None:
            key = (pid, start)
            return self._recent_exits.get(key, False) or self._older_exits.get(key, False)
        return parent.in_init_tree

    def ancestors(self, parent: Optional[Process]) -> Tuple[Process, ...]:
        """Those beyond the parent, as events show them."""
        ancestors = self.table.ancestors(parent)
        for ancestor in ancestors:
            self.shown(ancestor)
        return ancestors

    def on_exit(self, record: ExitRecord) -> Optional[ProcessExit]:
        """The end of a process; None when it was reported before, or nobody wants it."""
        ktime, start, pid, code, deferred_children = record
        exits, table = self._recent_exits, self.table
        key = (pid, start)
        if key in exits or key in self._older_exits:
            return None
        process = table.pop(pid, start)
        exits[key] = process is not None and process.in_init_tree
        if len(exits) > _RECENT_EXITS:
            self._older_exits, self._recent_exits = exits, {}
        if process is None:
            if self.starting:
                return None  # forked before forks were watched, gone before procfs was read
            process = table.unknown(pid, start)
        parent = process.parent
        if not process.start_time:
            self.shown(process)
        if parent is not None and not parent.start_time:
            self.shown(parent)
        ancestors = self.ancestors(parent) if self._with_ancestors else ()
        event = ProcessExit(process, parent, code, self._clock.offset + ktime, ancestors)
        if deferred_children or self._replaced:
            self._replaced.keep(process, deferred_children, ktime)
        if self.ended is not None:
            self.ended.keep(process)
        table.leave(process)
        return None if process.suppressed else event

    def shown(self, process: Process) -> Process:
        """`process`, with what is only filled in when an event shows it."""
        if not process.start_time:
            process.start_time = self._clock.at(process.ktime)
            if not process.parent_exec_id:
                parent = process.parent
                process.parent_exec_id = (self.table.kernel if parent is None else parent).exec_id
        return process

    def on_seed(self, process: Process) -> ProcessExec:
        """A process of the table that was there before the agent."""
        parent = process.parent
        shown = None if parent is None else self.shown(parent)
        return ProcessExec(self.shown(process), shown, self.ancestors(parent))


def _data_arguments(arguments: bytes, path_size: int) -> int:
    """Whether Tetragon would have sent the arguments (without argv[0]) apart."""
    _, _, rest = arguments.partition(b"\0")
    room = _LONG_DATA - (_DESCRIPTOR if path_size >= _LONG_PATH else path_size)
    return flags.DATA_ARGS if len(rest) >= room else 0
