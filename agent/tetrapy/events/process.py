# SPDX-License-Identifier: Apache-2.0
"""A process as events show it (Tetragon's message `Process`)."""

from __future__ import annotations

from binascii import b2a_base64
from typing import Optional, Tuple, Type

from tetrapy.events import encoders
from tetrapy.events.account import UNKNOWN, Account
from tetrapy.events.container import OUTSIDE, Membership
from tetrapy.events.credentials import BinaryProperties, Capabilities, Credentials
from tetrapy.events.executed import ExecutedFile
from tetrapy.events.namespaces import ShownNamespaces

UNSET_ID = 0xFFFFFFFF


class Process:
    """One process image: what ran between an exec (or fork) and the next exec or the exit.

    Times are ns since boot. Its JSON, and the message of clients, is encoded at the first event
    that shows it and is spliced into all later ones, so nothing that is shown may change
    afterwards.
    """

    __slots__ = (
        "_exec_id",
        "account",
        "arguments",
        "auid",
        "binary",
        "caller_json",
        "container",
        "cwd",
        "docker",
        "executed",
        "flags",
        "from_procfs",
        "in_init_tree",
        "json",
        "ktime",
        "node",
        "parent",
        "parent_exec_id",
        "pid",
        "refcnt",
        "start",
        "start_time",
        "suppressed",
        "uid",
        "wire",
    )

    # Of a DetailedProcess alone:
    user: str = ""
    capabilities: Optional[Capabilities] = None
    credentials: Optional[Credentials] = None
    namespaces: Optional[ShownNamespaces] = None
    binary_properties: Optional[BinaryProperties] = None  # shown by process_exec only
    environment: Tuple[Tuple[str, str], ...] = ()

    def __init__(self, node: bytes, pid: int, start: int, ktime: int) -> None:
        self.node = node  # name of the machine, part of exec_id
        self.pid = pid
        self.start = start  # of the process: when it was forked
        self.ktime = ktime  # of this image
        self.uid = self.auid = UNSET_ID
        self.account: Account = UNKNOWN  # who answers for it
        self.cwd = self.binary = self.arguments = self.docker = ""
        self.container: Membership = OUTSIDE
        self.flags = self.refcnt = 0
        self.in_init_tree = False
        self.suppressed = False  # reported only as a parent: nobody wants its events
        self.from_procfs = False  # then `start` is a multiple of 10 ms
        self.start_time = 0  # in ns since 1970; 0 until an event shows the process
        self.parent_exec_id = ""
        self.parent: Optional[Process] = None  # cut when the process is gone
        # The file that it executes; None if it is the host's at `binary`, as far as is known.
        self.executed: Optional[ExecutedFile] = None
        self.json: Optional[bytes] = None
        self.caller_json: Optional[bytes] = None  # as events of its calls show it
        self.wire: Optional[bytes] = None  # the message in protobuf; see api/event_encoder.py
        self._exec_id: Optional[str] = None

    @property
    def exec_id(self) -> str:
        """Base64 of `<node>:<ktime>:<pid>`."""
        if self._exec_id is None:
            self._exec_id = make_exec_id(self.node, self.ktime, self.pid)
        return self._exec_id

    @property
    def reported_file(self) -> Optional[ExecutedFile]:
        """The file that its exec tells of, if it does."""
        file = self.executed
        return file if file is not None and file.reported else None

    @property
    def reported_properties(self) -> Optional[BinaryProperties]:
        """What its exec tells of the binary, the file among it."""
        file, properties = self.reported_file, self.binary_properties
        if file is None:
            return properties
        return (properties or BinaryProperties())._replace(file=file)

    def copy(self, kind: Optional[Type[Process]] = None) -> Process:
        """Another image object that says the same; its JSON is encoded anew."""
        other = (kind or self.__class__)(self.node, self.pid, self.start, self.ktime)
        for one in self.__class__.__mro__:
            for name in getattr(one, "__slots__", ()):
                setattr(other, name, getattr(self, name))
        other.forget_json()
        return other

    def forget_json(self) -> None:
        """Have the bytes made anew: they take too much, or say what is not so any more."""
        self.json = self.caller_json = self.wire = None

    def leave(self) -> None:
        """Let go of the parent, but not of its id: the process is gone, or runs another image."""
        if self.parent is not None:
            if not self.parent_exec_id:
                self.parent_exec_id = self.parent.exec_id
            self.parent = None

    encoded = encoders.process
    """The message as JSON, in bytes."""


class DetailedProcess(Process):
    """A process image with what is reported only to those who ask."""

    __slots__ = (
        "binary_properties",
        "capabilities",
        "credentials",
        "environment",
        "namespaces",
        "user",
    )

    def __init__(self, node: bytes, pid: int, start: int, ktime: int) -> None:
        super().__init__(node, pid, start, ktime)
        self.user = ""
        self.capabilities = None
        self.credentials = None
        self.namespaces = None
        self.binary_properties = None
        self.environment = ()

    def take_details(self, other: Process) -> None:
        """Copy the details of the image that a fork goes on with; its binary was not executed by
        the fork.
        """
        self.user = other.user
        self.capabilities = other.capabilities
        self.credentials = other.credentials
        self.namespaces = other.namespaces
        self.environment = other.environment

    encoded = encoders.detailed_process


class ExecutedProcess(DetailedProcess):
    """The copy of a process that its exec shows when there is news of the binary."""

    __slots__ = ()
    encoded = encoders.executed_process


class UnknownProcess(Process):
    """A process whose beginning was never seen: only its pid and start are known."""

    __slots__ = ()
    encoded = encoders.unknown_process


def make_exec_id(node: bytes, ktime: int, pid: int) -> str:
    """Base64 of `<node>:<ktime>:<pid>`, padded."""
    return b2a_base64(b"%b:%d:%d" % (node, ktime, pid), newline=False).decode()
