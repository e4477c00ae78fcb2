# SPDX-License-Identifier: Apache-2.0
"""A process as events show it (Tetragon's message `Process`)."""

from __future__ import annotations

from binascii import b2a_base64
from typing import Any, Dict, List, Optional, Tuple

from tetrapy.events.credentials import (
    BinaryProperties,
    Capabilities,
    Credentials,
    encoded_capabilities,
    encoded_credentials,
)
from tetrapy.events.executed import ExecutedFile
from tetrapy.events.flags import flag_words
from tetrapy.events.namespaces import ShownNamespaces
from tetrapy.json_codec import json_text, quoted
from tetrapy.visible import json_bytes

UNSET_ID = 0xFFFFFFFF

_flag_texts: Dict[int, str] = {}  # a handful of combinations occur


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
        "executed",
        "flags",
        "from_procfs",
        "in_init_tree",
        "json",
        "kept_back",
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

    # Told by a DetailedProcess alone:
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
        self.cwd = self.binary = self.arguments = self.docker = ""
        self.flags = self.refcnt = 0
        self.in_init_tree = False
        self.kept_back = False  # told late, and only as a parent: nobody wants its events
        self.from_procfs = False  # then `start` is a multiple of 10 ms
        self.start_time = self.parent_exec_id = ""
        self.parent: Optional[Process] = None  # cut when the process is gone
        # The file that it executes; None if it is the host's at `binary`, as far as is known.
        self.executed: Optional[ExecutedFile] = None
        self.json: Optional[bytes] = None
        self._exec_id: Optional[str] = None

    @property
    def exec_id(self) -> str:
        """Base64 of `<node>:<ktime>:<pid>`."""
        if self._exec_id is None:
            self._exec_id = make_exec_id(self.node, self.ktime, self.pid)
        return self._exec_id

    def copy(self) -> Process:
        """Another image object that says the same; its JSON is encoded anew."""
        other = self.__class__(self.node, self.pid, self.start, self.ktime)
        for kind in self.__class__.__mro__:
            for name in getattr(kind, "__slots__", ()):
                setattr(other, name, getattr(self, name))
        other.json = None
        return other

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

    def encoded(self, rights: str = "", credentials: str = "", variables: str = "") -> bytes:
        """The same as JSON. Written out, because this is done for every exec.

        What is put in: fields before tid, behind it, and at the end.
        """
        pid, cwd, binary, arguments = self.pid, self.cwd, self.binary, self.arguments
        words = _flag_texts.get(self.flags)
        if words is None:
            words = flag_words(self.flags)
            words = _flag_texts[self.flags] = f',"flags":"{words}"' if words else ""
        shown_cwd = f',"cwd":{quoted(cwd)}' if cwd else ""
        shown_binary = f',"binary":{quoted(binary)}' if binary else ""
        shown_arguments = f',"arguments":{quoted(arguments)}' if arguments else ""
        docker = f',"docker":{quoted(self.docker)}' if self.docker else ""
        refcnt = f',"refcnt":{self.refcnt}' if self.refcnt else ""
        return json_bytes(
            f'{{"exec_id":"{self.exec_id}","pid":{pid},"uid":{self.uid}'
            f'{shown_cwd}{shown_binary}{shown_arguments}{words},"start_time":"{self.start_time}"'
            f',"auid":{self.auid}{docker},"parent_exec_id":"{self.parent_exec_id}"{refcnt}'
            f'{rights},"tid":{pid}{credentials}'
            f',"in_init_tree":{"true" if self.in_init_tree else "false"}{variables}}}'
        )


class DetailedProcess(Process):
    """A process image with what is told only to those who ask."""

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
        """Those of the image that a fork goes on with; its binary was not executed by the fork."""
        self.user = other.user
        self.capabilities = other.capabilities
        self.credentials = other.credentials
        self.namespaces = other.namespaces
        self.environment = other.environment

    def fields(self) -> Dict[str, Any]:
        """The same with the details."""
        out = super().fields()
        tid, in_init_tree = out.pop("tid"), out.pop("in_init_tree")
        if self.capabilities is not None:
            out["cap"] = self.capabilities.fields()
        if self.namespaces is not None:
            out["ns"] = self.namespaces
        out["tid"] = tid
        if self.credentials is not None:
            out["process_credentials"] = self.credentials.fields()
        if self.user:
            out["user"] = {"name": self.user}
        out["in_init_tree"] = in_init_tree
        if self.environment:
            out["environment_variables"] = _variables(self.environment)
        return out

    def encoded(self, rights: str = "", credentials: str = "", variables: str = "") -> bytes:
        """The same as JSON."""
        if self.capabilities is not None:
            rights += f',"cap":{encoded_capabilities(self.capabilities)}'
        if self.namespaces is not None:
            rights += f',"ns":{self.namespaces.encoded}'
        if self.credentials is not None:
            credentials += f',"process_credentials":{encoded_credentials(self.credentials)}'
        if self.user:
            credentials += f',"user":{{"name":{quoted(self.user)}}}'
        if self.environment:
            variables += f',"environment_variables":{json_text(_variables(self.environment))}'
        return super().encoded(rights, credentials, variables)


class UnknownProcess(Process):
    """A process whose beginning was never seen: only its pid and start are known."""

    __slots__ = ()

    def fields(self) -> Dict[str, Any]:
        """As Tetragon shows an exit without a known process."""
        return {"pid": self.pid, "start_time": self.start_time}

    def encoded(self, rights: str = "", credentials: str = "", variables: str = "") -> bytes:
        """The same as JSON."""
        return json_text(self.fields()).encode()


def make_exec_id(node: bytes, ktime: int, pid: int) -> str:
    """Base64 of `<node>:<ktime>:<pid>`, padded."""
    return b2a_base64(b"%b:%d:%d" % (node, ktime, pid), newline=False).decode()


def _variables(environment: Tuple[Tuple[str, str], ...]) -> List[Dict[str, str]]:
    """Messages `EnvVar`; unset fields are left out."""
    return [
        {name: text for name, text in (("Key", key), ("Value", value)) if text}
        for key, value in environment
    ]
