# SPDX-License-Identifier: Apache-2.0
"""What this kernel is asked whether it has it, and what is told of what it lacks."""

from __future__ import annotations

import pytest

from tetrapy.errors import KernelError, UnsupportedFeatureError
from tetrapy.kernel import features
from tetrapy.kernel.features import Feature
from tetrapy.sensors.base import BaseSource
from tetrapy.sensors.options import BufferSize, SensorOptions

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


@pytest.mark.parametrize("feature", NOBODY_HAS, ids=lambda one: one.name)
def test_a_feature_that_is_lacking(feature: Feature) -> None:
    """The error carries its name and the first Linux that has it, and tells both."""
    assert not feature.is_there
    with pytest.raises(UnsupportedFeatureError) as caught:
        features.require([*features.PERF_FLAVOUR, feature])
    assert (caught.value.name, caught.value.since) == (feature.name, "99.1")
    text = f"this kernel lacks {feature.name}, which Linux has since 99.1; boot a newer one"
    assert str(caught.value) == text


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
