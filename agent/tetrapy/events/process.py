"""A process as events show it (Tetragon's message `Process`)."""

from __future__ import annotations

from binascii import b2a_base64
from typing import Any, Dict, Optional

from tetrapy.events.flags import flag_words

UNSET_ID = 0xFFFFFFFF


class Process:
    """One process image: what ran between an exec (or fork) and the next exec or the exit.

    Times are ns since boot. Its JSON is encoded at the first event that shows it and is spliced
    into all later ones, so nothing that JSON shows may change afterwards.
    """

    __slots__ = (
        "_exec_id",
        "arguments",
        "auid",
        "binary",
        "cwd",
        "docker",
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
        "uid",
    )

    def __init__(self, node: bytes, pid: int, start: int, ktime: int) -> None:
        self.node = node  # name of the machine, part of exec_id
        self.pid = pid
        self.start = start  # of the process: when it was forked
        self.ktime = ktime  # of this image
        self.uid = UNSET_ID
        self.auid = UNSET_ID
        self.cwd = ""
        self.binary = ""
        self.arguments = ""
        self.flags = 0
        self.docker = ""
        self.in_init_tree = False
        self.refcnt = 0
        self.from_procfs = False  # then `start` is a multiple of 10 ms
        self.start_time = ""
        self.parent: Optional[Process] = None  # cut when the process is gone
        self.parent_exec_id = ""
        self.json: Optional[bytes] = None
        self._exec_id: Optional[str] = None

    @property
    def exec_id(self) -> str:
        """Base64 of `<node>:<ktime>:<pid>`."""
        if self._exec_id is None:
            self._exec_id = make_exec_id(self.node, self.ktime, self.pid)
        return self._exec_id

    def leave(self) -> None:
        """Let go of the parent, but not of its id: the process is gone, or runs another image."""
        if self.parent is not None:
            if not self.parent_exec_id:
                self.parent_exec_id = self.parent.exec_id
            self.parent = None

    def fields(self) -> Dict[str, Any]:
        """The fields of the message in the order of their numbers; unset ones are left out."""
        out: Dict[str, Any] = {"exec_id": self.exec_id, "pid": self.pid, "uid": self.uid}
        if self.cwd:
            out["cwd"] = self.cwd
        if self.binary:
            out["binary"] = self.binary
        if self.arguments:
            out["arguments"] = self.arguments
        words = flag_words(self.flags)
        if words:
            out["flags"] = words
        out["start_time"] = self.start_time
        out["auid"] = self.auid
        if self.docker:
            out["docker"] = self.docker
        out["parent_exec_id"] = self.parent_exec_id
        if self.refcnt:
            out["refcnt"] = self.refcnt
        out["tid"] = self.pid
        out["in_init_tree"] = self.in_init_tree
        return out


class UnknownProcess(Process):
    """A process whose beginning was never seen: only its pid and start are known."""

    __slots__ = ()

    def fields(self) -> Dict[str, Any]:
        """As Tetragon shows an exit without a known process."""
        return {"pid": self.pid, "start_time": self.start_time}


def make_exec_id(node: bytes, ktime: int, pid: int) -> str:
    """Base64 of `<node>:<ktime>:<pid>`, padded."""
    return b2a_base64(b"%b:%d:%d" % (node, ktime, pid), newline=False).decode()
