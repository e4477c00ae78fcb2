"""Boots the guests that the selected tests ask for: each once, two at a time."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.vm import guests as vm
from tools.guest import kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.guest.kernels import Kernel

PARALLEL_GUESTS = 2

# Fixture of a test -> whether it runs on a kernel of the list.
_WANTED: dict[str, Callable[[Kernel], bool]] = {
    "guest": lambda kernel: True,
    "guest_without_btf": lambda kernel: not kernel.btf,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each kernel of the list; those not in the short selection are of the matrix."""
    for fixture, wanted in _WANTED.items():
        if fixture in metafunc.fixturenames:
            parameters = [
                pytest.param(k.name, id=k.name, marks=() if k.short else pytest.mark.matrix)
                for k in kernels.load()
                if wanted(k)
            ]
            metafunc.parametrize(fixture, parameters, indirect=True, scope="session")


@pytest.fixture(scope="session")
def booted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[vm.Guest]]]:
    """The guests of all selected tests by name, booting in the background."""
    names = {
        item.callspec.params.get(fixture)
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        for fixture in _WANTED
    }
    with ThreadPoolExecutor(PARALLEL_GUESTS) as pool:
        yield {
            kernel.name: pool.submit(vm.boot, kernel, tmp_path_factory.mktemp(kernel.name))
            for kernel in kernels.load()
            if kernel.name in names
        }
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def guest(request: pytest.FixtureRequest, booted: dict[str, Future[vm.Guest]]) -> vm.Guest:
    """A guest of the list in which the driver has run."""
    return booted[request.param].result()


@pytest.fixture(scope="session")
def guest_without_btf(
    request: pytest.FixtureRequest, booted: dict[str, Future[vm.Guest]]
) -> vm.Guest:
    """The same for a kernel without BTF."""
    return booted[request.param].result()
