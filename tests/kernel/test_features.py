# SPDX-License-Identifier: Apache-2.0
"""What this kernel is asked whether it has it, and what is told of what it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tetrapy.config.sources import read
from tetrapy.daemon import btf as agent_btf
from tetrapy.errors import BtfNotFoundError, KernelError, UnsupportedFeatureError
from tetrapy.kernel import features
from tetrapy.kernel.features import Feature
from tetrapy.sensors.base import BaseSource
from tetrapy.sensors.options import BufferSize, SensorOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetrapy.btf.source import BtfSource

RAW_TRACEPOINT = 17
NOBODY_HAS = [
    Feature("maps of tomorrow", "99.1", map_type=250),
    Feature("programs of tomorrow", "99.1", program_type=250),
    Feature("bpf_tomorrow()", "99.1", RAW_TRACEPOINT, helper=9999),
]


def test_what_the_tested_kernels_have() -> None:
    """All of them have what the perf buffer's flavour needs; this one may have the other's."""
    features.require(features.PERF_FLAVOUR)
    if features.has_ring_buffer():
        features.require(features.RING_FLAVOUR)
    assert features.takes_large_programs()


@pytest.mark.parametrize(
    "feature",
    [
        features.GLOBAL_DATA._replace(map_flags=1 << 31),
        # A loop without an end.
        features.BOUNDED_LOOPS._replace(instructions=b"\x05\0\xff\xff\0\0\0\0"),
    ],
    ids=["array", "program"],
)
def test_what_is_refused_is_not_there(feature: Feature) -> None:
    """An array with flags that nobody knows, a program that no verifier takes."""
    assert not feature.is_there


@pytest.mark.parametrize("feature", NOBODY_HAS, ids=lambda one: one.name)
def test_a_feature_that_is_lacking(feature: Feature) -> None:
    """The error carries its name and the first Linux that has it, and tells both."""
    assert not feature.is_there
    with pytest.raises(UnsupportedFeatureError) as caught:
        features.require([*features.PERF_FLAVOUR, feature])
    assert (caught.value.name, caught.value.since) == (feature.name, "99.1")
    text = f"this kernel lacks {feature.name}, which Linux has since 99.1; boot a newer one"
    assert str(caught.value) == text


def test_what_a_kernel_is_built_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option is told, for no newer kernel has it either, and no BTF is asked for."""
    lacking = NOBODY_HAS[1]._replace(option="CONFIG_TOMORROW")
    monkeypatch.setattr(features, "RAW_TRACEPOINTS", lacking)

    def sources(*_given: object) -> Iterator[BtfSource]:
        raise BtfNotFoundError("tried in vain; `tetrapy btf add FILE`")
        yield

    monkeypatch.setattr(agent_btf.discovery, "sources", sources)
    settings = read([], {})
    with pytest.raises(UnsupportedFeatureError) as caught:
        agent_btf.loaded(settings, lambda *_, **__: None, lambda source: None)
    assert str(caught.value).endswith(
        "boot a newer one, or one that was built with CONFIG_TOMORROW"
    )
    monkeypatch.setattr(features, "RAW_TRACEPOINTS", features.KPROBES)
    with pytest.raises(BtfNotFoundError):
        agent_btf.loaded(settings, lambda *_, **__: None, lambda source: None)


@pytest.mark.parametrize("lacking", [True, False])
def test_an_object_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, lacking: bool
) -> None:
    """What the kernel lacks is named if it lacks something; else what libbpf said stands."""
    if lacking:
        monkeypatch.setattr(features, "PERF_FLAVOUR", NOBODY_HAS)
    nowhere = f"{tmp_path}/no.btf"
    options = SensorOptions(False, BufferSize.of(1 << 20, 1), btf_path=nowhere)
    with pytest.raises(KernelError) as caught:
        BaseSource(options)
    assert isinstance(caught.value, UnsupportedFeatureError) == lacking
    assert "failed to parse target BTF" in caught.value.log
