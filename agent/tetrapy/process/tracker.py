"""Records of the kernel -> process table and events (rules: Tetragon's events, section 7)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Callable, Dict, Optional

from tetrapy.containers.cgroup import container_of_name
from tetrapy.errors import FormatError
from tetrapy.events import flags
from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.events.process import Process
from tetrapy.events.records import ExecRecord, ExitRecord, ForkRecord
from tetrapy.events.text import absolute_path, arguments_text, to_text
from tetrapy.process.table import ProcessTable

# Tetragon hands arguments and long paths over in separate messages and says so in the flags. The
# sizes at which it does so: bpf/process/bpf_execve_event.h, read_args() and read_path().
_LONG_PATH = 254
_LONG_DATA = 960
_DESCRIPTOR = 32  # bytes that stand for a path sent apart: struct data_event_desc

_RECENT_EXITS = 256


class ProcessTracker:
    """Keeps the process table in step with the kernel."""

    def __init__(
        self, table: ProcessTable, format_time: Callable[[int], str], exec_flags: Dict[str, int]
    ) -> None:
        self._table = table
        self._format_time = format_time
        self.starting = False  # while records are handled that came before procfs was read
        self._recent_exits: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._cwd_root = exec_flags["EXEC_CWD_ROOT"]
        # Most execs raise none of these, so one look tells.
        self._rare = {
            exec_flags["EXEC_PATH_ERROR"]: flags.ERROR_FILENAME,
            exec_flags["EXEC_ARGS_ERROR"]: flags.ERROR_ARGS,
            exec_flags["EXEC_ARGS_TRUNCATED"]: flags.TRUNC_ARGS,
            exec_flags["EXEC_CWD_PARTIAL"]: flags.ERROR_PATH_COMPONENTS,
            exec_flags["EXEC_CWD_ERROR"]: flags.ERROR_CWD,
            exec_flags["EXEC_CGROUP_ERROR"]: flags.ERROR_CGROUP_NAME,
        }
        self._rare_mask = sum(self._rare)

    def on_fork(self, record: ForkRecord) -> None:
        """A process that runs its cloner's image; it makes no event."""
        table = self._table
        pid, start = record.pid, record.start
        if table.find(pid, start) is not None:
            return  # procfs showed it first
        cloner = table.find_or_read(record.cloner_pid, record.cloner_start)
        if cloner is None:
            # Its records were lost and it is gone; the child may still be there.
            if table.find_or_read(pid, start) is not None:
                return
            cloner = table.unknown(record.cloner_pid, record.cloner_start)
            parent = None
        else:
            parent = cloner
        if record.parent_pid != record.cloner_pid:
            parent = table.find_or_read(record.parent_pid, record.parent_start)
        process = table.new(pid, start, record.ktime)
        process.uid = cloner.uid
        process.auid = cloner.auid
        process.cwd = cloner.cwd
        process.binary = cloner.binary
        process.arguments = cloner.arguments
        process.docker = cloner.docker
        process.flags = flags.EXECVE
        process.refcnt = 1
        if record.inner_pid == 1 or (parent is not None and parent.in_init_tree):
            process.in_init_tree = True
            process.flags |= flags.IN_INIT_TREE
        process.parent = parent
        if parent is None:
            process.parent_exec_id = table.exec_id(record.parent_pid, record.parent_start)
        table.put(process)

    def on_exec(self, record: ExecRecord, data: bytes, at: int, arguments: bytes) -> ProcessExec:
        """A new image. The record's variable parts begin at `at` in `data`.

        `arguments` are those that came in records of their own, empty when they are in `data`.
        Raises FormatError when the parts do not fit into `data`.
        """
        table = self._table
        end = at + record.path_size
        path = data[at:end]
        if not arguments:
            at, end = end, end + record.args_size
            arguments = data[at:end]
        at, end = end, end + record.cwd_size
        cwd = data[at:end]
        at, end = end, end + record.cgroup_size
        cgroup = data[at:end]
        if end > len(data):
            raise FormatError(f"exec record of {len(data)} bytes, {end} by its own sizes")

        process = table.new(record.pid, record.start, record.ktime)
        bits = flags.EXECVE
        if record.flags & self._cwd_root:
            bits |= flags.ROOT_CWD
            process.cwd = "/"
        else:
            process.cwd = to_text(cwd)
        if record.flags & self._rare_mask:
            for bit, flag in self._rare.items():
                if record.flags & bit:
                    bits |= flag
        process.uid = record.uid
        process.auid = record.auid
        process.binary = absolute_path(to_text(path), process.cwd)
        process.arguments = arguments_text(arguments, cwd_follows=bool(cwd))
        if cgroup:
            process.docker = container_of_name(cgroup)
        if record.path_size >= _LONG_PATH:
            bits |= flags.DATA_FILENAME
        if len(arguments) + record.path_size >= _LONG_DATA:
            bits |= _data_arguments(arguments, record.path_size)

        former = table.find(record.pid, record.start)
        parent = self._parent_of_exec(record, former)
        if former is not None and former.refcnt:
            bits |= flags.CLONE
        heir_of = parent if former is None else former
        if record.inner_pid == 1 or (heir_of is not None and heir_of.in_init_tree):
            bits |= flags.IN_INIT_TREE
            process.in_init_tree = True
        process.flags = bits
        process.start_time = self._format_time(record.ktime)
        process.parent = parent
        if parent is not None:
            process.parent_exec_id = self._shown(parent).exec_id
        else:
            process.parent_exec_id = table.exec_id(record.parent_pid, record.parent_start)
        table.put(process)
        return ProcessExec(process, parent)

    def _parent_of_exec(self, record: ExecRecord, former: Optional[Process]) -> Optional[Process]:
        """Who started the image: its parent, or without a fork the image it replaced."""
        if former is not None and not former.refcnt:
            return former
        return self._table.find_or_read(record.parent_pid, record.parent_start)

    def on_exit(self, record: ExitRecord) -> Optional[ProcessExit]:
        """The end of a process; None when it was told before."""
        key = (record.pid, record.start)
        if key in self._recent_exits:
            return None
        self._recent_exits[key] = None
        if len(self._recent_exits) > _RECENT_EXITS:
            self._recent_exits.popitem(last=False)
        process = self._table.pop(record.pid, record.start)
        if process is None and self.starting:
            return None  # it was forked before forks were watched, and gone before procfs was read
        if process is None:
            process = self._table.unknown(record.pid, record.start)
        parent = process.parent
        event = ProcessExit(
            self._shown(process),
            None if parent is None else self._shown(parent),
            record.code,
            self._format_time(record.ktime),
        )
        process.leave()
        return event

    def _shown(self, process: Process) -> Process:
        """`process`, with what is only filled in when an event shows it."""
        if not process.start_time:
            process.start_time = self._format_time(process.ktime)
            if not process.parent_exec_id:
                parent = process.parent
                process.parent_exec_id = (self._table.kernel if parent is None else parent).exec_id
        return process

    def on_seed(self, process: Process) -> ProcessExec:
        """A process of the table that was there before the agent."""
        parent = process.parent
        return ProcessExec(self._shown(process), None if parent is None else self._shown(parent))


def _data_arguments(arguments: bytes, path_size: int) -> int:
    """Whether Tetragon would have sent the arguments (without argv[0]) apart."""
    _, _, rest = arguments.partition(b"\0")
    room = _LONG_DATA - (_DESCRIPTOR if path_size >= _LONG_PATH else path_size)
    return flags.DATA_ARGS if len(rest) >= room else 0
