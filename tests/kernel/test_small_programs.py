# SPDX-License-Identifier: Apache-2.0
"""The flavour of small programs, for kernels before Linux 5.3: what later ones say to it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from btfs import corpus
from tests.support.agent import Agent
from tetrapy.config.sources import read
from tetrapy.daemon import start
from tetrapy.kernel import features
from tetrapy.process.details import Wanted
from tetrapy.sensors.base import BaseSource
from tetrapy.sensors.options import BufferSize, Rate, SensorOptions

# BPF_COMPLEXITY_LIMIT_INSNS before Linux 5.2; a verifier of that time finds fewer states alike.
WALKED = 131_072
MARGIN = 4

LAYOUTS = (
    "other/beepfd/centos/8/aarch64/4.18.0-147.5.1.el8_1.aarch64.btf",
    "other/beepfd/bclinux/21.10U3/x86_64/4.19.90-2107.6.0.0248.35.oe1.bclinux.x86_64.btf",
)

POLICY = {
    "apiVersion": "cilium.io/v1alpha1",
    "kind": "TracingPolicy",
    "metadata": {"name": "calls"},
    "spec": {"tracepoints": [{"subsystem": "syscalls", "event": "sys_enter_close"}]},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_old_kernels(layout: str) -> None:
    """The programs load with the types of CentOS 8 and of a vendor's 4.19, with all that can be
    asked for, and are short walks for the verifier.
    """
    types = corpus.reduced().path / layout
    options = SensorOptions(
        use_ring=False,
        size=BufferSize.of(1 << 20, 1),
        btf_path=str(types),
        context=True,
        environment=True,
        cgroups="memory",
        rate=Rate(5, 10**9),
        small=True,
    )
    with contextlib.closing(BaseSource(options)) as source:
        walked = {name: source._sensor.info(name).verified for name in source._sensor.fds}
    assert set(walked) >= {"on_exec_rest", "on_exec_end", "on_exec_context", "on_fork_suppressed"}
    assert {name: count for name, count in walked.items() if count * MARGIN > WALKED} == {}


@pytest.mark.parametrize(
    ("flags", "large", "ring", "small"),
    [
        ([], True, False, False),
        ([], False, False, True),
        ([], False, True, False),
        (["--use-perf-ring-buffer"], False, True, True),
        (["--force-small-progs"], True, True, True),
        (["--force-large-progs"], False, False, False),
    ],
)
def test_the_choice(
    monkeypatch: pytest.MonkeyPatch, flags: list[str], large: bool, ring: bool, small: bool
) -> None:
    """What the kernel has decides, or the settings."""
    monkeypatch.setattr(features, "takes_large_programs", lambda: large)
    monkeypatch.setattr(features, "has_ring_buffer", lambda: ring)
    chosen = start.sensor_options(read(flags, {}), Wanted(), None)
    assert chosen.small == small
    assert chosen.use_ring == (ring and not small)


def test_what_they_cannot_do(tmp_path: Path) -> None:
    """It is logged at the start, with the reason; a policy is refused for it by name."""
    policy = tmp_path / "calls.yaml"
    policy.write_text(json.dumps(POLICY))
    flags = ("--force-small-progs", "--sensor=ebpf", "--log-format=json")
    with Agent(tmp_path, *flags, "--tracing-policy", str(policy)) as agent:
        agent.started()
        lines = [json.loads(line) for line in agent.log.splitlines()]
        assert agent.stop() == 0

    def logged(text: str) -> dict[str, Any]:
        return next(line for line in lines if text in json.dumps(line))

    warning = logged("Small BPF programs are used")
    assert warning["because"] == "the settings ask for it"
    assert "tracing policies" in warning["lack"]
    refused = logged("policies need large BPF programs (Linux 5.3)")
    assert "calls.yaml" in json.dumps(refused)
