# SPDX-License-Identifier: Apache-2.0
"""The tracing policies of a run: found in files, loaded, and told of.

A file that is no good stays in the list with its error: it keeps neither the agent nor another
policy from running, unless the settings ask for that.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Tuple

from tetrapy.config.settings import Settings
from tetrapy.config.table import BY_NAME
from tetrapy.errors import PolicyError, TetrapyError
from tetrapy.uncaught import described

if TYPE_CHECKING:
    from tetrapy.btf.source import BtfSource
    from tetrapy.policy.types import Policy
    from tetrapy.sensors.policy.loader import LoadedPolicy, PolicyLoader
    from tetrapy.sensors.source import EventSource

ENABLED, PARTIALLY_ENABLED, LOAD_ERROR = "enabled", "partially_enabled", "load_error"
STATES = ("disabled", ENABLED, "error", LOAD_ERROR, PARTIALLY_ENABLED, "skipped")
MONITOR_ONLY = "monitor_only"
"""The mode of a policy that acts on nobody."""

_DIRECTORY = "tracing-policy-dir"

Log = Callable[..., None]


class PolicyFileError(TetrapyError):
    """A policy was not loaded, and the settings want the start to end then."""


class Entry:
    """A policy in the list, loaded or not."""

    def __init__(self, number: int, path: str) -> None:
        self.number = number  # never given again
        self.path = path
        self.name = ""
        self.namespace = ""
        self.state = LOAD_ERROR
        self.mode = ""
        self.error = ""
        self.loaded: Optional[LoadedPolicy] = None

    @property
    def key(self) -> Tuple[str, str]:
        """What no two loaded policies share."""
        return self.namespace, self.name

    def described(self) -> Dict[str, Any]:
        """What the info file has of it."""
        loaded = self.loaded
        return {
            "id": self.number,
            "name": self.name,
            "namespace": self.namespace,
            "file": self.path,
            "state": self.state,
            "mode": self.mode,
            "sensors": list(loaded.sensors) if loaded else [],
            "hooks": loaded.hooks if loaded else 0,
            "left_out": list(loaded.left_out) if loaded else [],
            "error": self.error,
            "kernel_memory_bytes": loaded.kernel_memory if loaded else 0,
        }


class Policies:
    """All policies of an agent, in the order in which they came."""

    def __init__(
        self, make_loader: Callable[[contextlib.ExitStack], PolicyLoader], log: Log
    ) -> None:
        """`make_loader` is called at the first policy, with what is given back after the last one.

        It raises TetrapyError where none can be loaded.
        """
        self._make_loader = make_loader
        self._acquired = contextlib.ExitStack()
        self._loader: Optional[PolicyLoader] = None
        self._log = log
        self._last = 0
        self.entries: List[Entry] = []

    def prepare_file(self, path: str) -> Entry:
        """Load the policy in a file; what keeps it from that is in the entry and the log.

        Nothing of it happens before `attach`.
        """
        self._last += 1
        entry = Entry(self._last, path)
        try:
            self._prepare(entry)
        except Exception as err:  # noqa: BLE001 - one policy must not end the base sensor
            self._refuse(entry, err)
        self.entries.append(entry)
        return entry

    def attach(self, entry: Entry) -> None:
        """Have a prepared policy observe; what keeps it from that is in the entry and the log."""
        if entry.loaded is None:
            return
        try:
            entry.loaded.attach()
        except Exception as err:  # noqa: BLE001 - see above
            entry.loaded = None
            self._refuse(entry, err)
            return
        self._tell(entry, entry.loaded)

    def _prepare(self, entry: Entry) -> None:
        policy = self._read(entry)
        self._expect_new(entry)
        if self._loader is None:
            self._loader = self._make_loader(self._acquired)
        entry.loaded = self._loader.prepare(policy)

    def _tell(self, entry: Entry, loaded: LoadedPolicy) -> None:
        entry.state = PARTIALLY_ENABLED if loaded.left_out else ENABLED
        entry.mode = MONITOR_ONLY
        fields = {"metadata.namespace": entry.namespace, "metadata.name": entry.name}
        self._log("info", "Added TracingPolicy with success", TracingPolicy=entry.path, **fields)
        for what in loaded.left_out:
            self._log("warn", "A hook of a policy is left out", because=what, **fields)

    def _read(self, entry: Entry) -> Policy:
        # Imported late: most agents have no policies.
        from tetrapy.policy.read import read_policy_file

        read = read_policy_file(entry.path)
        metadata = read.policy.metadata
        entry.name = metadata.name or metadata.generate_name
        entry.namespace = metadata.namespace
        for warning in read.warnings:
            self._log("warn", "Policy: probably not meant", file=entry.path, warning=str(warning))
        return read.policy

    def _expect_new(self, entry: Entry) -> None:
        """Raise PolicyFileError where a policy of that name is loaded.

        One of that name that could not be loaded is replaced, as Tetragon does.
        """
        for other in self.entries:
            if other.key == entry.key and other.loaded is not None:
                raise PolicyFileError(
                    f"a policy with the name {entry.name} is loaded already, from {other.path}"
                )
        self.entries = [one for one in self.entries if not one.name or one.key != entry.key]

    def _refuse(self, entry: Entry, err: Exception) -> None:
        entry.state, entry.mode = LOAD_ERROR, ""
        if isinstance(err, PolicyError):
            entry.error = "; ".join(str(problem) for problem in err.problems)
        elif isinstance(err, OSError):
            entry.error = f"the file cannot be read: {err.strerror or err}"
        elif isinstance(err, TetrapyError):
            entry.error = str(err)
        else:
            what = described(err)
            entry.error = f"unexpected, a defect of tetrapy: {what['error']}, at {what['at']}"
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

    def described(self) -> List[Dict[str, Any]]:
        """What the info file has of all."""
        return [entry.described() for entry in self.entries]

    def states(self) -> Dict[str, int]:
        """How many are in each state."""
        counts = dict.fromkeys(STATES, 0)
        for entry in list(self.entries):
            counts[entry.state] = counts.get(entry.state, 0) + 1
        return counts

    def settled(self) -> None:
        """Nothing is loaded for now: give back what only loading takes."""
        if self._loader is not None:
            self._loader.close()

    def detach(self) -> None:
        """Stop all programs; what they reported before can still be understood."""
        for entry in self.entries:
            if entry.loaded is not None:
                entry.loaded.detach()

    def close(self) -> None:
        """Take all out of the kernel, the last one first."""
        for entry in reversed(self.entries):
            if entry.loaded is not None:
                entry.loaded.close()
                entry.loaded = None
        self.settled()
        self._loader = None
        self._acquired.close()


def prepared(
    settings: Settings,
    sensor: EventSource,
    source: BtfSource,
    procfs: str,
    run_directory: str,
    log: Log,
) -> Policies:
    """The policies of the files that the settings name, each prepared or with its error.

    Raises PolicyFileError where the settings want the start to end then.
    """

    def make_loader(acquired: contextlib.ExitStack) -> PolicyLoader:
        # Imported late: most agents have no policies.
        from tetrapy.daemon.policy_loader import make

        return make(settings, sensor, source, procfs, run_directory, acquired)

    policies = Policies(make_loader, log)
    with contextlib.ExitStack() as acquired:
        acquired.callback(policies.close)
        for path in _files(settings, log):
            entry = policies.prepare_file(path)
            if settings.tracing_policy_strict:
                _expect_loaded(entry)
        acquired.pop_all()
    return policies


def attach(policies: Policies, settings: Settings) -> None:
    """Have the prepared policies observe. Raises PolicyFileError as `prepared`."""
    for entry in policies.entries:
        policies.attach(entry)
        if settings.tracing_policy_strict:
            _expect_loaded(entry)
    policies.settled()


def _expect_loaded(entry: Entry) -> None:
    if entry.error:
        raise PolicyFileError(
            f"{entry.path}: {entry.error}; without --tracing-policy-strict the agent goes on"
        )


def _files(settings: Settings, log: Log) -> Iterator[str]:
    """The files of policies that the settings name, those of the directory first.

    A directory that cannot be read is logged. Raises PolicyFileError for one where the settings
    are strict; the default one need not be there.
    """
    directory = settings.tracing_policy_dir
    try:
        yield from _below(directory)
    except OSError as err:
        if directory == BY_NAME[_DIRECTORY].default and isinstance(err, FileNotFoundError):
            text = "Loading Tracing Policies from directory ignored, directory does not exist"
            log("info", text, **{_DIRECTORY: directory})
        else:
            what = f"failed to access tracing policies dir {directory}: {err.strerror}"
            if settings.tracing_policy_strict:
                raise PolicyFileError(what) from err
            log("error", "Policies are not loaded", error=what)
    yield from settings.tracing_policy


def _below(directory: str) -> List[str]:
    """Regular files in a directory and one level below, whatever their names end with, in order.

    Hidden ones are none: a mounted ConfigMap has each file once more in a hidden directory.
    """
    found = []
    for name in _listed(directory):
        path = os.path.join(directory, name)
        if os.path.isdir(path) and not os.path.islink(path):
            found += [os.path.join(path, inner) for inner in _listed(path)]
        else:
            found.append(path)
    return [path for path in found if _is_file(path)]


def _listed(directory: str) -> List[str]:
    return sorted(name for name in os.listdir(directory) if not name.startswith("."))


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True  # a link to nothing: reading it says so
