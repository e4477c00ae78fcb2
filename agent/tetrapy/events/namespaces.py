# SPDX-License-Identifier: Apache-2.0
"""The namespaces of a process (Tetragon's message `Namespaces`)."""

from __future__ import annotations

from typing import Any, Dict

from tetrapy.json_codec import json_text
from tetrapy.named import NamedTuple


class Namespaces(NamedTuple):
    """Inode numbers; 0 where the kernel has no such namespace."""

    uts: int
    ipc: int
    mnt: int
    pid: int
    pid_for_children: int
    net: int
    time: int
    time_for_children: int
    cgroup: int
    user: int

    def shown(self, host: Namespaces) -> ShownNamespaces:
        """The message; `host` are the namespaces of the machine's first process."""
        out = ShownNamespaces()
        for name, number, own in zip(self._fields, self, host):
            if not self.time and name.startswith("time"):
                continue
            out[name] = {"inum": number} if number else {}
            if number == own and (number or not name.startswith("time")):
                out[name]["is_host"] = True
        out.encoded = json_text(out)
        return out


class ShownNamespaces(Dict[str, Any]):
    """The message, and the same as JSON: many processes share one."""

    __slots__ = ("encoded",)
    encoded: str
