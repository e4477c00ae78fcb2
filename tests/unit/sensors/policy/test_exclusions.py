# SPDX-License-Identifier: Apache-2.0
"""Which executable a hook reads: any, or the host's, where negated filters ask for it."""

from __future__ import annotations

import pytest

from tests.support.policies import read, selector
from tests.support.records import policy_btf
from tetrapy.policy.workloads import of_selectors
from tetrapy.sensors.policy.compiler import HookCompiler
from tetrapy.sensors.policy.marks import Marks
from tetrapy.sensors.policy.process_filters import Host
from tetrapy.sensors.policy.tables import HookWriter
from tetrapy.sensors.policy.values import Source
from tetrapy.sensors.policy.workloads import Claim

IN = "matchBinaries: [{operator: In, values: [/a]}]"
NOT = "matchBinaries: [{operator: NotIn, values: [/a]}]"
CONTAINERS = "matchWorkloads: {containerSelector: {}}"
BOTH = "matchWorkloads: {containerSelector: {}, hostSelector: {}}"


class Bits:
    """A claim on marks of workloads."""

    def bit(self, workload: object) -> int:
        return 1


@pytest.mark.parametrize(
    ("selectors", "written", "kinds"),
    [
        (f"{{{IN}}}", False, ["BINARY"]),
        (f"{{{NOT}}}", False, ["HOSTS_BINARY"]),
        (f"{{{NOT}}}", True, ["BINARY"]),
        (f"{{{IN}}}, {{{NOT}}}", False, ["HOSTS_BINARY"]),
        (f"{{{NOT}, {CONTAINERS}}}", False, ["BINARY"]),
        (f"{{{NOT}, {BOTH}}}", False, ["HOSTS_BINARY"]),
        (f"{{{NOT}}}, {{{NOT}, {CONTAINERS}}}", False, ["HOSTS_BINARY", "BINARY"]),
    ],
)
def test_what_is_read(selectors: str, written: bool, kinds: list[str]) -> None:
    """Once for all selectors that agree."""
    policy = read(selector(selectors)).policy
    found = policy.spec.kprobes[0].selectors
    writer = HookWriter(policy_btf())
    source = Source("x86_64", written_path=written)
    compiler = HookCompiler(writer, Host("x86_64", {}), (), source, Marks().claim())
    claim: Claim = Bits()  # type: ignore[assignment]
    compiler.limit(claim, of_selectors(policy, found))
    values = compiler.compile((), found).table.values
    assert [value.kind for value in values] == [writer.kinds[f"VALUE_{one}"] for one in kinds]
