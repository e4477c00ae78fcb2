# SPDX-License-Identifier: Apache-2.0
"""A policy in the agent's list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

if TYPE_CHECKING:
    from tetrapy.sensors.policy.loaded import LoadedPolicy

DISABLED = "disabled"
ENABLED, PARTIALLY_ENABLED, LOAD_ERROR = "enabled", "partially_enabled", "load_error"
STATES = (DISABLED, ENABLED, "error", LOAD_ERROR, PARTIALLY_ENABLED, "skipped")
STATIC, GRPC = "static", "grpc"
"""Domains, as Tetragon calls them: policies of files, and those that clients add."""
ENFORCE, MONITOR, MONITOR_ONLY = "enforce", "monitor", "monitor_only"
"""Modes, see policy/acting.py, which most agents need not import."""


class Entry:
    """A policy in the list, loaded or not."""

    def __init__(self, number: int, path: str, domain: str) -> None:
        self.number = number  # never given again
        self.path = path  # or who sent it
        self.domain = domain  # where it came from; each has names of its own
        self.text = ""  # of one that came otherwise than in a file
        self.read: Optional[int] = None  # the hash of the text that was read last
        self.awaits_name = False  # it is not loaded because another has its name
        self.name = self.namespace = self.mode = self.error = ""
        self.state = LOAD_ERROR
        self.loaded: Optional[LoadedPolicy] = None
        self.silent: List[Dict[str, Any]] = []  # whose calls it does not tell for now

    @property
    def key(self) -> Tuple[str, str, str]:
        """What no two loaded policies share."""
        return self.domain, self.namespace, self.name

    @property
    def label(self) -> str:
        """Domain, namespace and name as the log has them."""
        return "/".join(self.key)

    def described(self) -> Dict[str, Any]:
        """What the info file has of it."""
        loaded = self.loaded
        return {
            "id": self.number,
            "name": self.name,
            "namespace": self.namespace,
            "domain": self.domain,
            "file": self.path,
            "state": self.state,
            "mode": self.mode,
            "sensors": list(loaded.sensors) if loaded else [],
            "hooks": loaded.hooks if loaded else 0,
            "left_out": list(loaded.left_out) if loaded else [],
            "error": self.error,
            "kernel_memory_bytes": loaded.kernel_memory if loaded else 0,
            "silent": self.silent,
        }
