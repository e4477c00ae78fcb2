# SPDX-License-Identifier: Apache-2.0
"""Which tests can run here, which of them may be left out, and which may run at the same time.

A test is marked by the directory it is in: tests/kernel needs root, tests/pyz the built file,
tests/vm QEMU. On a developer's machine what cannot run is skipped, with the reason. Where CI=true
or TETRAPY_CI=1 a skip is a failure, unless EXPECTED_SKIPS names it.

With pytest-xdist (`-n 3 --no-loadscope-reorder`, which `make test` gives on two cores) the
tests of a file stay in one process, and all that share agents or guests do. Nothing else runs
beside a test that is marked `alone`, but for guests, which one process has all the time.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PYZ = ROOT / "dist/tetrapy.pyz"
STRICT = os.environ.get("TETRAPY_CI") == "1" or os.environ.get("CI") == "true"

# No test fails for being slow, and CI tries the same examples each time.
settings.register_profile(
    "house",
    deadline=None,
    derandomize=STRICT,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# A first answer while one writes: a quarter of the examples (`make quick`).
settings.register_profile("quick", settings.get_profile("house"), max_examples=25)
settings.load_profile("house")


class ExpectedSkip(NamedTuple):
    """A skip that CI accepts: the tests and the reason they give, both regular expressions."""

    test: str
    reason: str
    why: str


# The one list of what CI may leave out.
EXPECTED_SKIPS = [
    ExpectedSkip(
        r"^tests/pyz/test_hosts\.py::test_old_python",
        r"empty parameter set",
        "Debian 12 has no Python that is too old to run tetrapy",
    ),
    ExpectedSkip(
        r"^tests/kernel/test_executed_procfs\.py::test_a_file_that_was_named_later",
        r"procfs does not tell that, and there is nobody else to ask",
        "the process connector is for where no program can be loaded; docs/security.md says so",
    ),
    ExpectedSkip(
        r"^tests/kernel/test_(runtimes|image|oci_hook)\.py::",
        r"needs \w+: see tests/support/runtimes|CRI neither pauses|Podman has a socket only",
        "runtimes are no part of what the tests install; TETRAPY_RUNTIMES names them",
    ),
    ExpectedSkip(
        r"^tests/vm/test_lives\.py::",
        r"the recording of Tetragon is not here",
        "the recording is no part of this repository",
    ),
    ExpectedSkip(
        r"^tests/unit/client/test_compact\.py::test_recorded_outputs",
        r"the recording of Tetragon is not here",
        "as above; test_calls has the same rules",
    ),
    ExpectedSkip(
        r"^tests/unit/sensors/policy/test_handler\.py::",
        r"the recording of Tetragon is not here",
        "as above; test_calls has each type of value",
    ),
]

# What the tests of a directory are, and need: (directory, markers). What takes longest comes first,
# so that no process is left with it at the end.
_DIRECTORIES = {
    "vm": ("pyz", "vm"),
    "kernel": ("root", "kernel"),
    "pyz": ("pyz",),
    "unit": (),
}


def missing(markers: set[str]) -> str | None:
    """Why a test with these markers cannot run on this machine, or None when it can."""
    if "root" in markers and os.geteuid() != 0:
        return "needs root"
    if "pyz" in markers and not PYZ.exists():
        return f"needs {PYZ.relative_to(ROOT)}: make build"
    if "vm" in markers and shutil.which("qemu-system-x86_64") is None:
        return "needs qemu-system-x86_64: make setup"
    return None


def _directory(item: pytest.Item) -> str:
    return item.path.relative_to(ROOT / "tests").parts[0]


# Tests of guests that are booted once for all of them.
_SHARED_GUESTS = ("test_details.py", "test_guests.py", "test_proofs.py", "test_sources.py")


def _group(nodeid: str) -> str:
    """The tests that run in one process, one after the other."""
    path, _, _ = nodeid.partition("::")
    _, directory, *names = path.split("/")
    if directory == "kernel" and names[0] == "events":
        return "kernel/events"  # they share agents
    if directory == "vm" and names[0] in _SHARED_GUESTS:
        return "vm"
    return path


def _is_of_guests(group: str) -> bool:
    return group == "vm" or group.startswith("tests/vm/")


@pytest.hookimpl(optionalhook=True)  # where pytest-xdist is not loaded
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process whole groups of tests, in their order.

    By a scheduler of our own: pytest-xdist 3.8 writes the group of `xdist_group` into the id of a
    test, where pytest 9.2 does not read it.
    """
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

        def _assign_work_unit(self, node: Any) -> None:
            """Let one process have guests all the time, and the others what else there is.

            So no core is idle while a test is `alone`.
            """
            elsewhere = any(
                _is_of_guests(group) and not all(tests.values())
                for other, groups in self.assigned_work.items()
                for group, tests in groups.items()
                if other is not node
            )
            for group in self.workqueue:
                if _is_of_guests(group) != elsewhere:
                    self.workqueue.move_to_end(group, last=False)
                    break
            super()._assign_work_unit(node)

    return GroupScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its directory, and group it; skip what cannot run here."""
    order = list(_DIRECTORIES)
    items.sort(key=lambda item: order.index(_directory(item)))
    for item in items:
        for marker in _DIRECTORIES[_directory(item)]:
            item.add_marker(marker)
        reason = missing({mark.name for mark in item.iter_markers()})
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def _lock(path: Path, how: int, stack: ExitStack) -> None:
    file = stack.enter_context(path.open("ab"))
    fcntl.flock(file, how)
    # Closing it is not enough: a process that a test forked, and that lives on, has it open too.
    stack.callback(fcntl.flock, file, fcntl.LOCK_UN)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Have a test that is marked `alone` wait for those of other processes, and them for it.

    Who waits for the room keeps the door shut, so that nobody else slips in before.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ or _directory(item) == "vm":
        return (yield)
    is_alone = item.get_closest_marker("alone") is not None
    # The directory above a process' own is that of the whole run.
    shared = item.config._tmp_path_factory.getbasetemp().parent
    with ExitStack() as room:
        with ExitStack() as door:
            _lock(shared / "door", fcntl.LOCK_EX, door)
            _lock(shared / "room", fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH, room)
        return (yield)


def unexpected(nodeid: str, reason: str) -> bool:
    """Whether this skip is a failure: CI runs, and no entry of EXPECTED_SKIPS names it."""
    return STRICT and not any(
        re.search(skip.test, nodeid) and re.search(skip.reason, reason) for skip in EXPECTED_SKIPS
    )


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if unexpected(report.nodeid, reason):
        report.outcome = "failed"
        report.longrepr = f"{reason}\n(CI expects no skip here: see EXPECTED_SKIPS)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Turn the unexpected skip of a test into a failure."""
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """Turn the unexpected skip of a whole module into an error."""
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Iterator[None]:
    """Have a report of half a character reach the process that prints it: execnet sends UTF-8."""
    return _sendable((yield))


def _sendable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _sendable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_sendable(one) for one in value)
    return value
