# SPDX-License-Identifier: Apache-2.0
"""The directory of policies while the agent runs: what changes there takes effect.

Files are compared with what was loaded of them, so it does not matter how they were changed:
written in place, renamed, or by the swap of the link `..data` to which a ConfigMap's files lead.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from tetrapy.daemon.policies import Policies
from tetrapy.daemon.policy_entry import DISABLED, STATIC, Entry
from tetrapy.daemon.policy_files import directories_of, files_below
from tetrapy.kernel.inotify import Inotify
from tetrapy.kernel.writers import has_writer

# Editors and package managers change files in several steps.
_QUIET = 0.1  # seconds without a change after which files are read
_LONGEST = 0.5  # seconds after the first change
_PATIENCE = 10.0  # seconds that a file may be written to before it is taken as it is

_DONE = object()

Log = Callable[..., None]


class PolicyDirectory:
    """Watches the directory; `fd` is to be polled."""

    def __init__(self, directory: str, policies: Policies, log: Log) -> None:
        """The policies of the directory are loaded already. Raises OSError."""
        self._directory = directory
        self._policies = policies
        self._log = log
        self._inotify = Inotify()
        self.fd = self._inotify.fd
        self._first: Optional[float] = None  # when the first change came that was not looked at
        self._due = 0.0
        self._known: Dict[str, Optional[int]] = {}
        for entry in policies.entries:
            if entry.domain == STATIC:
                self._known[entry.path] = entry.read
        self._written: Dict[str, float] = {}  # files that somebody writes to, and since when
        self._work: Optional[Iterator[None]] = None  # what is under way
        self._is_watched = False
        self.look_again()  # it may have changed meanwhile

    @property
    def waits(self) -> bool:
        """Whether a turn is due, or will be soon."""
        return self._first is not None or self._work is not None

    def turn(self, ready: List[Tuple[int, int]]) -> float:
        """Look at what changed, if `ready`, what a poll said, has it; seconds to the next turn."""
        now = time.monotonic()
        if any(fd == self.fd for fd, _ in ready):
            self._inotify.drain()
            self._changed(now)
        if self._work is None:
            if self._first is None:
                return float("inf")
            if now < self._due:
                return self._due - now
            self._first = None
            self._work = self.compare()
        # One policy a turn: events have theirs in between.
        if next(self._work, _DONE) is not _DONE:
            return 0.0
        self._work = None
        return 0.0

    def look_again(self) -> None:
        """Compare soon: what links lead to elsewhere is not watched."""
        self._changed(time.monotonic())

    def tick(self) -> None:
        """Now and then: a directory that was not there may be by now."""
        if not self._is_watched and os.path.isdir(self._directory):
            self.look_again()

    def _changed(self, now: float) -> None:
        if self._first is None:
            self._first = now
        self._due = min(now + _QUIET, self._first + _LONGEST)

    def compare(self) -> Iterator[None]:
        """Have the policies follow the files as they are now; yields after each one."""
        self._watch()
        try:
            paths = files_below(self._directory)
        except FileNotFoundError:
            paths = []
        except OSError as err:
            self._log("error", "Changes of policies are not looked at", error=str(err))
            return
        found = {path: _hash_of(path) for path in paths if os.path.lexists(path)}
        gone = [path for path in self._known if self._is_here(path) and path not in found]
        retiring = [entry for path in gone for entry in self._entries(path)]
        for path, content in found.items():
            is_new = path not in self._known or self._known[path] != content
            if is_new and not self._is_being_written(path):
                self._known[path] = content
                self._follow(path, content, retiring)
                yield
        for path in gone:
            del self._known[path]
            for entry in self._entries(path):
                self._policies.remove(entry)
                self._log_change("Policy is taken out: its file is gone", entry)
                yield
        self._written = {path: since for path, since in self._written.items() if path in found}
        if self._written:
            self.look_again()  # its end is noticed, but not that there is none
        self._take_free_names()
        if gone or self._policies.entries:
            self._policies.settled()

    def _is_being_written(self, path: str) -> bool:
        """Whether a file is not whole yet: what was loaded of it stays until it is."""
        try:
            writes = has_writer(path)
        except OSError:
            writes = False
        if not writes:
            self._written.pop(path, None)
            return False
        now = time.monotonic()
        if now - self._written.setdefault(path, now) < _PATIENCE:
            return True
        del self._written[path]
        self._log("warn", "A policy is loaded while its file is written to", TracingPolicy=path)
        return False

    def _follow(self, path: str, content: Optional[int], retiring: List[Entry]) -> None:
        """Load what is new or has changed."""
        for entry in retiring:
            if content is not None and entry.read == content and entry.loaded is not None:
                self._log_change("The file of a policy is renamed", entry, to=path)
                entry.path = path
                retiring.remove(entry)
                return
        here = self._entries(path)
        if any(entry.state == DISABLED for entry in here):
            self._log("info", "A policy that is disabled has changed", TracingPolicy=path)
            return
        self._policies.renew(path, [*here, *retiring])

    def _take_free_names(self) -> None:
        """What was refused because another policy had its name, which may be gone by now."""
        entries = self._policies.entries
        taken = {entry.key for entry in entries if not entry.awaits_name}
        for entry in list(entries):
            if entry.awaits_name and entry.key not in taken and self._is_here(entry.path):
                taken.add(entry.key)
                self._policies.renew(entry.path, [entry])

    def _entries(self, path: str) -> List[Entry]:
        return [one for one in self._policies.entries if (one.domain, one.path) == (STATIC, path)]

    def _is_here(self, path: str) -> bool:
        return path.startswith(os.path.join(self._directory, ""))

    def _watch(self) -> None:
        """Watch the directory and those in it, as they are now."""
        self._is_watched = False
        for directory in directories_of(self._directory):
            try:
                self._inotify.watch(directory)
                self._is_watched = True
            except FileNotFoundError:
                pass
            except OSError as err:
                self._log("error", "Policies: not watched", directory=directory, error=str(err))
        if not self._is_watched:
            self._watch_parent()

    def _watch_parent(self) -> None:
        """It tells when the directory is made."""
        try:
            self._inotify.watch(os.path.dirname(os.path.normpath(self._directory)))
        except OSError:
            pass  # then `tick` looks

    def _log_change(self, what: str, entry: Entry, **more: Any) -> None:
        name = {"metadata.namespace": entry.namespace, "metadata.name": entry.name}
        self._log("info", what, TracingPolicy=entry.path, **name, **more)

    def close(self) -> None:
        """Watch no more."""
        self._inotify.close()


def _hash_of(path: str) -> Optional[int]:
    """Of what a file holds; None for what cannot be read."""
    from tetrapy.errors import PolicyError
    from tetrapy.policy.text import text_of

    try:
        return hash(text_of(path))
    except (OSError, PolicyError):
        return None
