# SPDX-License-Identifier: Apache-2.0
"""The files of policies that the settings name, and what of them is loaded at the start."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Callable, Iterator, List

from tetrapy.config.settings import Settings
from tetrapy.config.table import BY_NAME
from tetrapy.daemon.left_policies import pins_of
from tetrapy.daemon.policies import Policies
from tetrapy.daemon.policy_entry import Entry
from tetrapy.errors import PolicyFileError

if TYPE_CHECKING:
    from tetrapy.btf.source import BtfSource
    from tetrapy.sensors.policy.loader import PolicyLoader
    from tetrapy.sensors.source import EventSource

_DIRECTORY = "tracing-policy-dir"

# What editors, dpkg, ucf and rpm leave of former versions, or put beside the one that is there.
_FORMER = (
    *("~", ".dpkg-old", ".dpkg-dist", ".dpkg-new", ".dpkg-tmp"),
    *(".ucf-old", ".ucf-dist", ".ucf-new", ".rpmsave", ".rpmnew", ".rpmorig"),
)

Log = Callable[..., None]


def prepared(
    settings: Settings,
    sensor: EventSource,
    source: BtfSource,
    procfs: str,
    run_directory: str,
    log: Log,
    alive: Callable[[], None],
    is_ending: Callable[[], bool],
) -> Policies:
    """The policies of the files that the settings name, each prepared or with its error.

    `alive` is called for each step, since a slow machine may take a minute for the first policy;
    `is_ending` says that no more is to be loaded, now and later.
    Raises PolicyFileError where the settings want the start to end then.
    """

    def make_loader(acquired: contextlib.ExitStack) -> PolicyLoader:
        # Imported late: most agents have no policies.
        from tetrapy.daemon.policy_loader import make

        return make(
            settings, sensor, source, procfs, run_directory, acquired, log, policies.alive, pins
        )

    pins, left = pins_of(settings, log)
    policies = Policies(make_loader, log, left)
    policies.when_alive, policies.is_ending = alive, is_ending
    with contextlib.ExitStack() as acquired:
        acquired.callback(policies.close)
        if settings.persist_grpc_policies:
            from tetrapy.daemon.policy_store import PolicyStore

            PolicyStore(settings.persist_grpc_policies_dir).restore(policies, log)
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
    keeps = settings.keep_sensors_on_exit and not settings.release_pinned_bpf
    policies.take_over(keep_failed=keeps)
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
        yield from files_below(directory)
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


def files_below(directory: str) -> List[str]:
    """Regular files in a directory and one level below, whatever their names end with, in order.

    Hidden ones are none: a mounted ConfigMap has each file once more in a hidden directory. Nor is
    what editors and package managers leave of a former version.
    """
    found = []
    for name in _listed(directory):
        path = os.path.join(directory, name)
        if _is_directory(path):
            found += [os.path.join(path, inner) for inner in _listed(path)]
        else:
            found.append(path)
    return [path for path in found if _is_file(path)]


def directories_of(directory: str) -> Iterator[str]:
    """Those in which `files_below` looks."""
    yield directory
    try:
        names = _listed(directory)
    except OSError:
        return
    for name in names:
        path = os.path.join(directory, name)
        if _is_directory(path):
            yield path


def _is_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _listed(directory: str) -> List[str]:
    return sorted(
        name
        for name in os.listdir(directory)
        if not name.startswith((".", "#")) and not name.endswith(_FORMER)
    )


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True  # a link to nothing: reading it says so
