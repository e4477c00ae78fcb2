"""Which tests can run here, and which of them may be left out.

A test is marked by the directory it is in: tests/kernel needs root, tests/pyz the built file,
tests/vm QEMU. On a developer's machine what cannot run is skipped, with the reason. Where CI=true
or TETRAPY_CI=1 a skip is a failure, unless EXPECTED_SKIPS names it.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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
]

# What the tests of a directory are, and need: (directory, markers).
_DIRECTORIES = {
    "kernel": ("root", "kernel"),
    "pyz": ("pyz",),
    "vm": ("pyz", "vm"),
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its directory; skip what cannot run here."""
    for item in items:
        directory = item.path.relative_to(ROOT / "tests").parts[0]
        for marker in _DIRECTORIES.get(directory, ()):
            item.add_marker(marker)
        reason = missing({mark.name for mark in item.iter_markers()})
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


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
