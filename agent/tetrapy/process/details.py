# SPDX-License-Identifier: Apache-2.0
"""What a process tells beyond the usual: credentials, namespaces, user name, environment.

Nothing of it is there unless the settings ask for it. Texts are redacted here too, before any event
can show them.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Dict, FrozenSet, List, Optional, Pattern, Protocol, Tuple

from tetrapy.errors import FormatError
from tetrapy.events.credentials import (
    PRIVILEGES_CHANGED,
    BinaryProperties,
    Capabilities,
    Credentials,
)
from tetrapy.events.decoder import EventAbi
from tetrapy.events.executed import ExecutedFile
from tetrapy.events.flags import ERROR_ENVS
from tetrapy.events.namespaces import Namespaces, ShownNamespaces
from tetrapy.events.process import DetailedProcess, Process
from tetrapy.events.records import ContextRecord
from tetrapy.events.text import to_text
from tetrapy.named import NamedTuple
from tetrapy.process.procfs import read_context
from tetrapy.process.users import Users

Environment = Tuple[Tuple[str, str], ...]

MOST_VARIABLES = (
    4096  # of one process that are shown: 256 KiB may have 131,072, each of which costs
)

# Enumerators of enum exec_privilege, in the order of Tetragon's enum.
_PRIVILEGES = ("EXEC_FILE_CAPS", "EXEC_SETUID_ROOT", "EXEC_SETGID_ROOT")


def _among(names: FrozenSet[str]) -> Pattern[str]:
    """Finds variables of these names, between zero bytes, however many others there are."""
    words = [re.escape(name) for name in sorted(names) if "=" not in name] or ["(?!)"]
    return re.compile(f"\0((?:{'|'.join(words)})(?:=[^\0]*)?)(?=\0)")


class Redactor(Protocol):
    """Takes secrets out of texts."""

    def redact(
        self,
        binary: str,
        arguments: str,
        environment: Environment,
        file: Optional[ExecutedFile] = None,
    ) -> Tuple[str, Environment]:
        """The arguments and the environment of a program, as they may be shown."""


class Wanted(NamedTuple):
    """What the settings ask for."""

    credentials: bool = False
    namespaces: bool = False
    users: bool = False
    environment: bool = False
    variables: FrozenSet[str] = frozenset()  # of the environment; empty: all
    redactor: Optional[Redactor] = None

    @property
    def context(self) -> bool:
        """Whether the kernel has to tell of credentials and namespaces."""
        return self.credentials or self.namespaces or self.users

    @property
    def anything(self) -> bool:
        """Whether there is anything to do for a process."""
        return self.context or self.environment or self.redactor is not None


class Details:
    """Fills in what is wanted."""

    def __init__(
        self,
        wanted: Wanted,
        abi: Optional[EventAbi],
        host: Optional[Namespaces],
        root: str = "",
    ) -> None:
        """`abi` tells how records of the kernel are read, None if there will be none.

        `host` are the namespaces of the machine's first process, None if they are not known;
        `root` is what stands before paths of its files (`tetrapy.host_files`).
        """
        self._wanted = wanted
        self.redactor = wanted.redactor
        self._abi = abi
        self._host = host or Namespaces(*([0] * 10))
        self._users = Users(root) if wanted.users and host is not None else None
        self._shown: Dict[Namespaces, ShownNamespaces] = {}
        self.environment = wanted.environment  # whether variables are shown
        self._among = _among(wanted.variables) if wanted.variables else None
        self.unnamed_users = 0  # uids for which there is no name

    def of_exec(self, process: Process, context: bytes, environment: bytes) -> None:
        """Add what the kernel reported of an exec; both parts may be empty.

        Raises FormatError when the context is cut short.
        """
        assert isinstance(process, DetailedProcess)
        wanted = self._wanted
        if context:
            abi = self._abi
            if abi is None or len(context) < abi.context_size:
                raise FormatError(f"an exec context of {len(context)} bytes")
            record = ContextRecord._make(abi.unpack_context(context))
            if wanted.credentials:
                process.capabilities = Capabilities(*record[:3])
                process.credentials = Credentials(
                    *(getattr(record, name) for name in Credentials._fields)
                )
                process.binary_properties = self._properties(record, abi.privileges)
            self._place(process, Namespaces(*record[-10:]))
        self._show_texts(process, environment)

    def of_procfs(self, process: Process, root: str, environment: bytes = b"") -> None:
        """Add what procfs tells of a process now; an empty `root` is not looked at."""
        assert isinstance(process, DetailedProcess)
        wanted = self._wanted
        context = read_context(root, process.pid) if wanted.context and root else None
        if context is not None:
            if wanted.credentials:
                process.capabilities = context.capabilities
                process.credentials = context.credentials
            self._place(process, context.namespaces)
        self._show_texts(process, environment)

    def _place(self, process: DetailedProcess, namespaces: Namespaces) -> None:
        if self._wanted.namespaces:
            shown = self._shown.get(namespaces)
            if shown is None:
                if len(self._shown) > 1024:
                    self._shown.clear()
                shown = self._shown[namespaces] = namespaces.shown(self._host)
            process.namespaces = shown
        host = self._host
        if self._users is not None and namespaces.mnt == host.mnt and namespaces.user == host.user:
            name = self._users.name(process.uid)
            if name:
                process.user = name
            else:
                self.unnamed_users += 1

    def _properties(
        self, record: ContextRecord, bits: Dict[str, int]
    ) -> Optional[BinaryProperties]:
        found = record.privileges
        properties = BinaryProperties(
            record.euid if found & bits["EXEC_SETUID"] else None,
            record.egid if found & bits["EXEC_SETGID"] else None,
            tuple(why for bit, why in zip(_PRIVILEGES, PRIVILEGES_CHANGED) if found & bits[bit]),
            ExecutedFile("", record.inode, 0, 0) if record.inode else None,
        )
        return None if properties == _PLAIN else properties

    def _variables(self, environment: bytes) -> Tuple[Environment, bool]:
        """The variables that are shown, and whether there are more than MOST_VARIABLES of them."""
        text = to_text(environment.rstrip(b"\0"))
        if self._among is not None:
            among = self._among.finditer(f"\0{text}\0")
            parts = [found[1] for found in islice(among, MOST_VARIABLES + 1)]
        else:
            parts = text.split("\0", MOST_VARIABLES)
        shown: List[Tuple[str, str]] = []
        for part in parts[:MOST_VARIABLES]:
            key, equals, value = part.partition("=")
            shown.append((key, value) if equals else ("invalid", part))
        return tuple(shown), len(parts) > MOST_VARIABLES

    def _show_texts(self, process: DetailedProcess, environment: bytes) -> None:
        variables: Environment = ()
        if self._wanted.environment and environment:
            variables, has_more = self._variables(environment)
            if has_more:
                process.flags |= ERROR_ENVS
        redactor = self.redactor
        if redactor is not None:
            process.arguments, variables = redactor.redact(
                process.binary, process.arguments, variables, process.executed
            )
        process.environment = variables


_PLAIN = BinaryProperties()
