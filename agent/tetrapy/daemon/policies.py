# SPDX-License-Identifier: Apache-2.0
"""The tracing policies of a run: loaded, changed, and listed.

One that is no good stays in the list with its error: it keeps neither the agent nor another policy
from running, unless the settings ask for that.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence

from tetrapy.daemon.left_policies import LeftPolicies
from tetrapy.daemon.policy_entry import (
    DISABLED,
    ENABLED,
    LOAD_ERROR,
    PARTIALLY_ENABLED,
    STATES,
    STATIC,
    Entry,
)
from tetrapy.errors import AgentEndsError, NameTakenError, PolicyError, TetrapyError
from tetrapy.kernel import capabilities
from tetrapy.uncaught import defect

if TYPE_CHECKING:
    from tetrapy.daemon.policy_reader import PolicyReader
    from tetrapy.kernel.programs import ProgramInfo
    from tetrapy.policy.types import Policy
    from tetrapy.sensors.policy.loaded import LoadedPolicy
    from tetrapy.sensors.policy.loader import PolicyLoader

Log = Callable[..., None]


class Policies:
    """All policies of an agent, in the order in which they came."""

    def __init__(
        self,
        make_loader: Callable[[contextlib.ExitStack], PolicyLoader],
        log: Log,
        left: Optional[LeftPolicies] = None,
    ) -> None:
        """`make_loader` is called at the first policy, with what is given back after the last one.

        It raises TetrapyError where none can be loaded. `left` are those of an earlier agent.
        """
        self._left = left or LeftPolicies(None, log, "")
        self._make_loader = make_loader
        self._acquired = contextlib.ExitStack()
        self._loader: Optional[PolicyLoader] = None
        self._reader: Optional[PolicyReader] = None
        self._log = log
        self._last = 0
        self.when_changed: Callable[[], None] = lambda: None
        self.when_alive: Callable[[], None] = lambda: None
        self.is_ending: Callable[[], bool] = lambda: False  # whether a signal has come
        self.entries: List[Entry] = []

    def alive(self) -> None:
        """A step of a loading is done: the first policy may take a minute on a slow machine."""
        self.when_alive()

    def between(self) -> None:
        """The next part of a policy comes. Raises AgentEndsError where the agent is to end."""
        self.alive()
        if self.is_ending():
            raise AgentEndsError("the agent is to end")

    def prepare_file(self, path: str) -> Entry:
        """Load the policy in a file; what keeps it from that is in the entry and the log.

        Nothing of it happens before `attach`.
        """
        return self._added(path, "", STATIC)

    def prepare_text(self, text: str, sender: str, domain: str, *, enabled: bool = True) -> Entry:
        """Load the policy in a text that `sender` sent, as `prepare_file` does.

        One that is not `enabled` is put into the list as such.
        """
        return self._added(sender, text, domain, enabled=enabled)

    def _added(self, path: str, text: str, domain: str, *, enabled: bool = True) -> Entry:
        entry = self._new(path, text, domain)
        self._prepare(entry, enabled=enabled)
        self.entries.append(entry)
        return entry

    def _new(self, path: str, text: str, domain: str) -> Entry:
        self._last += 1
        entry = Entry(self._last, path, domain)
        entry.text = text
        return entry

    def attach(self, entry: Entry) -> None:
        """Have a prepared policy observe; what keeps it from that is in the entry and the log."""
        if entry.loaded is None:
            return
        try:
            with capabilities.raised():
                entry.loaded.attach({"file": entry.path, "policy": entry.label})
        except Exception as err:  # noqa: BLE001 - one policy must not end the base sensor
            entry.loaded = None
            self._refuse(entry, err)
            return
        self._log_loaded(entry, entry.loaded)

    def renew(self, path: str, former: Sequence[Entry]) -> None:
        """Load the file of a policy that is new, or has changed.

        `former` are the entries whose files are this one, or are gone. That with the policy's name
        is taken out when the new one observes, so that there is no moment without either; it stays
        when the new one cannot be loaded, and says so.
        """
        entry = self._new(path, "", STATIC)
        self._prepare(entry, former)
        self.attach(entry)
        before = [one for one in former if one.path == path or one.key == entry.key]
        if entry.loaded is None:
            kept = next((one for one in before if one.path == path and one.loaded), None)
            if kept is not None:
                kept.read = entry.read
                kept.error = f"it has changed, and is not loaded as it is now: {entry.error}"
                return
        for one in before:
            self._take_out(one)
        self.entries.append(entry)

    def _prepare(self, entry: Entry, former: Sequence[Entry] = (), *, enabled: bool = True) -> None:
        """Put a policy into the kernel that may take the name of a former one."""
        self.alive()
        try:
            policy = self._read(entry)
            self.alive()
            self._expect_new(entry, former)
            if not enabled:
                entry.state = DISABLED
                return
            with capabilities.raised():
                if self._loader is None:
                    self._loader = self._make_loader(self._acquired)
                    self._loader.between = self.between
                entry.loaded = self._loader.prepare(policy)
        except Exception as err:  # noqa: BLE001 - one policy must not end the base sensor
            self._refuse(entry, err)

    def _log_loaded(self, entry: Entry, loaded: LoadedPolicy) -> None:
        entry.state = PARTIALLY_ENABLED if loaded.left_out else ENABLED
        entry.mode = loaded.mode
        fields = {"metadata.namespace": entry.namespace, "metadata.name": entry.name}
        self._log("info", "Added TracingPolicy with success", TracingPolicy=entry.path, **fields)
        for what in loaded.left_out:
            self._log("warn", "A hook of a policy is left out", because=what, **fields)
        if loaded.not_kept:
            text = "A policy does not stay when the agent ends"
            self._log("warn", text, because=loaded.not_kept, **fields)
        self._left.replace(entry, "this agent has the policy")

    def _read(self, entry: Entry) -> Policy:
        # Imported late: most agents have no policies.
        from tetrapy.daemon.policy_library import policy_text
        from tetrapy.daemon.policy_reader import PolicyReader

        text = entry.text or policy_text(entry.path)
        entry.read = hash(text)
        if self._reader is None:
            self._reader = PolicyReader(self.between)
        read = self._reader.read(text)
        metadata = read.policy.metadata
        entry.name = metadata.name or metadata.generate_name
        entry.namespace = metadata.namespace
        for warning in read.warnings:
            self._log("warn", "Policy: probably not meant", file=entry.path, warning=warning)
        return read.policy

    def _expect_new(self, entry: Entry, former: Sequence[Entry]) -> None:
        """Raise NameTakenError where a policy of that name is loaded, or only disabled.

        One of that name that could not be loaded is replaced, as Tetragon does.
        """
        same = [one for one in self.entries if one.key == entry.key and one not in former]
        for other in same:
            if other.loaded is not None or other.state == DISABLED:
                raise NameTakenError(
                    f"a policy with the name {entry.name} is loaded already, from {other.path}"
                )
        self.entries = [one for one in self.entries if not one.name or one not in same]

    def _refuse(self, entry: Entry, err: Exception) -> None:
        entry.state, entry.mode = LOAD_ERROR, ""
        entry.awaits_name = isinstance(err, NameTakenError)
        if isinstance(err, PolicyError):
            entry.error = "; ".join(str(problem) for problem in err.problems)
        elif isinstance(err, OSError):
            entry.error = f"the file cannot be read: {err.strerror or err}"
        elif isinstance(err, TetrapyError):
            entry.error = str(err)
        else:
            entry.error = defect(err)
        self._log(
            "error",
            "Policy is not loaded",
            TracingPolicy=entry.path,
            **{"metadata.name": entry.name},
            error=entry.error,
        )
        log = getattr(err.__cause__, "log", "") or getattr(err, "log", "")
        if log:
            self._log("debug", "libbpf", log=log)

    def disable(self, entry: Entry) -> None:
        """Take a policy out of the kernel, and leave it in the list."""
        self._unload(entry)
        self._left.replace(entry, "the policy is taken out")
        entry.state, entry.mode, entry.error = DISABLED, "", ""

    def enable(self, entry: Entry) -> None:
        """Load a policy of the list again; what keeps it from that is in the entry and the log."""
        entry.error = ""
        self._prepare(entry, [entry])
        self.attach(entry)

    def set_mode(self, entry: Entry, mode: str) -> None:
        """Have a loaded policy enforce or monitor from now on. Raises KernelError."""
        if entry.loaded is not None:
            with capabilities.raised():
                entry.loaded.set_mode(mode)
            entry.mode = mode
            if entry.text:  # which is read when it is enabled again, and at the next start
                from tetrapy.policy.mode import with_mode

                entry.text = with_mode(entry.text, mode)

    def remove(self, entry: Entry) -> None:
        """Take a policy out of the kernel and of the list."""
        self._left.replace(entry, "the policy is taken out")
        self._take_out(entry)

    def _take_out(self, entry: Entry) -> None:
        self._unload(entry)
        self.entries = [one for one in self.entries if one is not entry]

    def _unload(self, entry: Entry) -> None:
        if entry.loaded is not None:
            loaded, entry.loaded = entry.loaded, None
            loaded.close()

    def take_over(self, keep_failed: bool) -> None:
        """All of the start are attached: remove what an earlier agent left.

        With `keep_failed` not of those that could not be loaded: they go on as they were.
        """
        failed = [one for one in self.entries if keep_failed and one.state == LOAD_ERROR]
        self._left.remove_but(failed)

    def described(self) -> List[Dict[str, Any]]:
        """What the info file has of all."""
        return [entry.described() for entry in self.entries]

    def states(self) -> Dict[str, int]:
        """How many are in each state."""
        counts = dict.fromkeys(STATES, 0)
        for entry in list(self.entries):
            counts[entry.state] = counts.get(entry.state, 0) + 1
        return counts

    def common_programs(self) -> Dict[str, List[ProgramInfo]]:
        """By kind of hook: what the kernel tells of the programs that all policies share.

        Raises KernelError.
        """
        return {} if self._loader is None else self._loader.common_programs()

    def settled(self) -> None:
        """All that was asked for is done: give back what only loading takes, and tell of it."""
        self._give_back()
        self.when_changed()

    def _give_back(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._loader is not None:
            self._loader.close()

    def detach(self) -> None:
        """Stop all programs but those that stay; what they reported can still be understood."""
        loaded = [one.loaded for one in self.entries if one.loaded and not one.loaded.stays]
        if loaded:
            from tetrapy.kernel.waits import call_all  # late, as above

            call_all([end for one in loaded for end in one.ends()], self.alive)

    def end(self) -> None:
        """Take all out of the kernel but those that stay: the agent ends."""
        for entry in self.entries:
            if entry.loaded is not None and entry.loaded.stays:
                loaded, entry.loaded = entry.loaded, None
                loaded.leave()
                self._log("info", "A policy stays in the kernel", policy=entry.label)
        self.close()

    def close(self) -> None:
        """Take all out of the kernel, the last one first."""
        self.detach()
        for entry in reversed(self.entries):
            self._unload(entry)
        self._give_back()
        self._loader = None
        self._acquired.close()
