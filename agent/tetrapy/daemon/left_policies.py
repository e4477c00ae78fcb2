# SPDX-License-Identifier: Apache-2.0
"""Policies that an earlier agent left in the kernel, until this one has its own in their place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Callable, Iterable, List, Optional, Tuple

from tetrapy.config.settings import Settings
from tetrapy.errors import KernelError
from tetrapy.kernel import bpffs

if TYPE_CHECKING:
    from tetrapy.daemon.policy_entry import Entry
    from tetrapy.sensors.policy.pins import Pinned, Pins

STATIC = "static"  # the domain of policies that came in files

Log = Callable[..., None]


def pins_of(settings: Settings, log: Log) -> Tuple[Optional[Pins], LeftPolicies]:
    """Where this run keeps policies, if the settings ask for it; and what earlier ones left."""
    base = os.path.join(bpffs.MOUNT, settings.bpf_dir)
    if not settings.keep_sensors_on_exit and not os.path.isdir(base):
        return None, LeftPolicies(None, log, base)
    # Imported late: most agents keep nothing.
    from tetrapy.sensors.policy.pins import Pins

    pins = Pins(base)
    return pins if settings.keep_sensors_on_exit else None, LeftPolicies(pins, log, base)


class LeftPolicies:
    """What earlier agents left, by file and name of the policy."""

    def __init__(self, pins: Optional[Pins], log: Log, base: str) -> None:
        """`pins` may be None: there is nothing."""
        self._pins = pins
        self._log = log
        self._found: List[Pinned] = []
        try:
            self._found = pins.earlier() if pins is not None else []
        except KernelError as err:
            log("warn", "BPF: what an earlier agent left is not known", error=str(err))
        if self._found:
            names = [one.policy for one in self._found]
            log("info", "BPF: found active BPF resources", **{"bpf-dir": base}, policies=names)

    def of(self, entry: Entry) -> List[Pinned]:
        """Those from the file of a policy, or with its name."""
        label, file = entry.label, entry.path if entry.domain == STATIC else None
        return [one for one in self._found if one.policy == label or one.file == file]

    def replace(self, entry: Entry, why: str) -> None:
        """Take those of this policy out of the kernel."""
        self.remove(self.of(entry), why)

    def remove(self, some: Iterable[Pinned], why: str) -> None:
        """Take them out of the kernel."""
        for one in list(some):
            assert self._pins is not None
            self._found.remove(one)
            fields = {"policy": one.policy, "TracingPolicy": one.file, "because": why}
            try:
                self._pins.forget(one.directory)
            except KernelError as err:
                self._log("error", "A policy that was left stays", **fields, error=str(err))
            else:
                self._log("info", "A policy that was left is removed", **fields)

    def remove_but(self, failed: Iterable[Entry]) -> None:
        """Take all out of the kernel but those of policies that could not be loaded."""
        kept = []
        for entry in failed:
            of_entry = self.of(entry)
            kept += of_entry
            if of_entry:
                entry.error += "; what an earlier agent left of it goes on"
                fields = {"TracingPolicy": entry.path, "policy": of_entry[0].policy}
                self._log("warn", "A policy goes on as an earlier agent left it", **fields)
        gone = [one for one in self._found if one not in kept]
        self.remove(gone, "it is not among the policies of this agent")
