"""Inference and scan on every layout of the corpus, in a made-up memory of each."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.unit import inference_corpus as c
from tests.unit.synthetic_objects import Host
from tetrapy.abi.core_needs import Facts
from tetrapy.btf.host import Host as KernelName
from tetrapy.btf.inference.candidates import check, infer, same_names
from tetrapy.btf.inference.scan import scan

SUSPENDED = 98_765_432_109  # ns
HOSTS = {
    "plain": Host(),
    "odd": Host(gap_ns=SUSPENDED, level=3, covered=True, stale=True),
    "version-1": Host(version_1=True, bound=True),
}


class Known(NamedTuple):
    """Layouts that are known, as an archive has them."""

    needs: tuple[str, ...]
    layouts: list[Facts]
    kernels: dict[str, int]


@pytest.fixture(scope="module", params=c.names())
def kernel(request: pytest.FixtureRequest) -> c.Kernel:
    """A kernel of each layout; of the 12 from other vendors each."""
    return c.kernel(request.param)


def host_of(kernel: c.Kernel) -> KernelName:
    """What the running host would call itself."""
    if kernel.name.isdigit():
        return KernelName("other", "", kernel.arch, "5.15.0-1")
    return KernelName(*kernel.name.split("/", 3))


def without(facts: Facts) -> Known:
    """The archive less all kernels with this layout."""
    known = c.archive()
    left = {name: at for name, at in known.kernels.items() if known.layouts[at] != facts}
    return Known(known.needs, known.layouts, left)


def plain(facts: Facts) -> Facts:
    """The facts as a scan reports them, which does not know how a kernel calls a field."""
    return same_names(c.needs().names, facts)


def test_only_the_right_layout_is_inferred(kernel: c.Kernel) -> None:
    """With the kernel's layout in the archive it is chosen; without it none is."""
    assert c.archive().needs == c.needs().names, "the archive was made for other objects"
    if kernel.name.isdigit():
        assert check(c.needs().names, kernel.facts, kernel.subject()) == ([], [])
    else:
        found = infer(c.archive(), host_of(kernel), kernel.subject(), c.optional())
        assert found.layout == kernel.facts, found.reason
        assert found.passed == [found.kernel]
        assert not found.unproven
        assert not found.off
    refused = infer(without(kernel.facts), host_of(kernel), kernel.subject(), c.optional())
    assert refused.layout is None, refused.kernel
    assert not refused.passed
    assert len(refused.refused) == refused.tested > 0


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_a_scan_finds_the_layout(kernel: c.Kernel, host: Host) -> None:
    """All of it; and the facts confirm each part of it with another subject."""
    names = c.needs().names
    found = scan(names, kernel.subject(0, host), c.optional())
    assert found.layout == plain(kernel.facts), found.reasons
    assert check(names, found.layout, kernel.subject(1, host)) == ([], [])


def test_a_scan_is_never_wrong(kernel: c.Kernel) -> None:
    """Where meaningless words point to what is looked for, it finds the layout or gives up."""
    found = scan(c.needs().names, kernel.subject(0, Host(hostile=True)), c.optional())
    assert found.layout in (None, plain(kernel.facts))
    assert found.layout or found.reasons
