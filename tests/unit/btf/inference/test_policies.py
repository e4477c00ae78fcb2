# SPDX-License-Identifier: Apache-2.0
"""What only policies read: checks tell it from its neighbours, and the scan finds it."""

from __future__ import annotations

import functools

import pytest

from tests.unit.btf.inference import inference_corpus as c
from tests.unit.btf.inference.synthetic_objects import PLAIN, Host
from tests.unit.btf.inference.test_checks import around
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_queries import Answers
from tetrapy.btf import requirements
from tetrapy.btf.inference.candidates import check, same_names
from tetrapy.btf.inference.checks import UNPROVEN, run_checks
from tetrapy.btf.inference.memory import Memory
from tetrapy.btf.inference.scan import scan
from tetrapy.btf.inference.view import View, key

KERNELS = (
    "debian/11/x86_64/5.10.0-43-amd64",
    "debian/12/arm64/6.1.0-47-arm64",
    "debian/12/x86_64/6.1.0-50-cloud-amd64",
    "debian/13/x86_64/7.3.4+deb13-amd64",
    "debian/13/arm64/6.12.107+deb13-rt-arm64",
)


@functools.cache
def optional() -> frozenset[str]:
    """What all programs together can do without."""
    names, images = c.all_queries().names, c.all_images()
    return requirements.optional(names, requirements.optional_accesses(images))


def policies() -> frozenset[str]:
    """Short names of what is proven, of the queries of policies alone."""
    return frozenset(map(key, set(c.all_queries().names) - set(c.queries().names))) - set(UNPROVEN)


def answers(name: str) -> Answers:
    """What a kernel says to all."""
    return c.all_queries().answers(Btf((c.corpus() / f"{name}.btf").read_bytes()))


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_a_wrong_answer_is_noticed(name: str) -> None:
    """Each alone, off by up to 64 bytes or without an answer, is doubted; the right one is not."""
    names, right = c.all_queries().names, answers(name)
    reference = c.kernel(name).reference()
    memory, spare = Memory(reference.read), frozenset(map(key, optional()))
    found = run_checks(View(names, right, memory), reference, ended=False, optional=spare)
    assert not found.failed
    assert not found.doubtful
    asked = policies()
    assert asked <= found.proven
    passed = []
    for at, query in enumerate(names):
        for other in around(query, right[at]) if key(query) in asked else ():
            view = View(names, (*right[:at], other, *right[at + 1 :]), memory)
            found = run_checks(view, reference, ended=False, optional=spare)
            if key(query) not in found.doubted:
                passed.append((query, other))
    assert not passed


@pytest.mark.slow
@pytest.mark.parametrize("host", [PLAIN, Host(stale=True)], ids=["plain", "stale"])
@pytest.mark.parametrize("name", KERNELS)
def test_a_scan_finds_it(name: str, host: Host) -> None:
    """All that can be proven, as it is; and another reference process confirms it."""
    names, right, kernel = c.all_queries().names, answers(name), c.kernel(name)
    found = scan(names, kernel.reference(0, host), optional())
    assert found.layout is not None, found.reasons
    for query, answer, other in zip(names, same_names(names, right), found.layout, strict=True):
        assert other == (None if key(query) in UNPROVEN else answer), query
    checked = check(names, found.layout, kernel.reference(1, host), optional())
    assert not checked.failed
    assert not checked.doubtful


def test_a_host_without_a_loopback_device() -> None:
    """Sockets cannot be made: nothing of them is proven, found or doubted."""
    names, kernel = c.all_queries().names, c.kernel(KERNELS[0])
    reference = kernel.reference()
    none = dict.fromkeys(("connected", "listening", "mapped", "routed"))
    reference.open_files = reference.open_files._replace(**none)
    found = scan(names, reference, optional())
    assert found.layout is not None
    sockets = {query for query in names if "struct sock" in query}
    assert sockets <= set(found.off)
    reference = kernel.reference()
    reference.open_files = reference.open_files._replace(**none)
    checked = check(names, answers(KERNELS[0]), reference, optional())
    assert not checked.failed
    assert not checked.doubtful
    assert sockets <= set(checked.unproven)
