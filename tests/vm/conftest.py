# SPDX-License-Identifier: Apache-2.0
"""Boots the guests that the selected tests ask for: each once, two at a time."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.vm import guests as vm
from tests.vm.ways import WAYS
from tools.guest import kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from _pytest.mark import ParameterSet

    from tests.vm.ways import Way
    from tools.guest.kernels import Kernel

HERE = Path(__file__).resolve().parent
PARALLEL_GUESTS = 2

# Fixture of a test -> the sessions that it judges. `guest` is a guest as a whole.
_WANTED: dict[str, Callable[[Way], bool]] = {
    "running": lambda way: way.starts and not way.details,
    "busy": lambda way: way.burst,
    "telling": lambda way: way.details,
    "refused": lambda way: not way.starts,
    "session": lambda way: True,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each session; those of kernels not in the short selection are of the matrix."""
    for fixture, wanted in _WANTED.items():
        if fixture in metafunc.fixturenames:
            parameters = [
                _parameter(kernel, (kernel.name, name), f"{kernel.name}-{name}")
                for kernel in kernels.load()
                for name in kernel.sessions
                if wanted(WAYS[name])
            ]
            metafunc.parametrize(fixture, parameters, indirect=True, scope="session")
    if "guest" in metafunc.fixturenames:
        parameters = [_parameter(kernel, kernel.name, kernel.name) for kernel in kernels.load()]
        metafunc.parametrize("guest", parameters, indirect=True, scope="session")


def _parameter(kernel: Kernel, value: object, name: str) -> ParameterSet:
    return pytest.param(value, id=name, marks=() if kernel.short else pytest.mark.matrix)


@pytest.fixture(scope="session")
def booted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[vm.Guest]]]:
    """The guests of all selected tests by name, booting in the background."""
    asked = set()
    for item in request.session.items:
        # Tests elsewhere have parameters of these names that are something else.
        is_here = HERE in item.path.parents
        if is_here and isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            parameters: dict[str, Any] = item.callspec.params
            asked |= {parameters[name][0] for name in _WANTED.keys() & parameters.keys()}
            asked.add(parameters.get("guest"))
    with ThreadPoolExecutor(PARALLEL_GUESTS) as pool:
        yield {
            kernel.name: pool.submit(vm.boot, kernel, tmp_path_factory.mktemp(kernel.name))
            # The longest first, so that none is left alone at the end.
            for kernel in sorted(kernels.load(), key=lambda kernel: -len(kernel.sessions))
            if kernel.name in asked
        }
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def guest(request: pytest.FixtureRequest, booted: dict[str, Future[vm.Guest]]) -> vm.Guest:
    """A guest of the list in which the driver has run."""
    return booted[request.param].result()


@pytest.fixture(scope="session")
def session(request: pytest.FixtureRequest, booted: dict[str, Future[vm.Guest]]) -> vm.Session:
    """A session of the agent in a guest."""
    kernel, name = request.param
    return booted[kernel].result().sessions[name]


@pytest.fixture(scope="session")
def running(request: pytest.FixtureRequest, booted: dict[str, Future[vm.Guest]]) -> vm.Session:
    """A session in which the agent had to start, and did."""
    kernel, name = request.param
    found = booted[kernel].result().sessions[name]
    assert found.record["listened"], found.log
    return found


busy = running
telling = running
refused = session


# Kernel -> session ("" for the guest as a whole) -> what its tests said.
_VERDICTS: dict[str, dict[str, dict[str, Any]]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the outcome of each test under the session that it judges."""
    report = yield
    parameters: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    judged = [parameters[name] for name in _WANTED.keys() & parameters.keys()]
    judged += [(parameters["guest"], "")] if "guest" in parameters else []
    for kernel, name in judged:
        verdict = _VERDICTS.setdefault(kernel, {}).setdefault(name, {"passed": 0, "failed": []})
        if report.failed:
            verdict["failed"].append(item.name)
        elif report.when == "call":
            verdict["passed"] += 1
    return report


def pytest_sessionfinish() -> None:
    """Put the verdicts beside what the guests left; tests/vm/report.py reads both."""
    for kernel, verdicts in _VERDICTS.items():
        if (vm.LEFT / kernel).is_dir():
            written = {"pyz": vm.digest(), "sessions": verdicts}
            (vm.LEFT / kernel / "verdicts.json").write_text(json.dumps(written))
