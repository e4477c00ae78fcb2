# SPDX-License-Identifier: Apache-2.0
"""TracingPolicy: macros, and what a policy asks of that is not done yet."""

from __future__ import annotations

import pytest

from tests.support.policies import kprobe, lines, read, spec
from tetrapy.policy.later import later

MACROS = (
    "  selectorsMacros:\n"
    "    bin: {label: b, matchBinaries: [{operator: In, values: [/x]}]}\n"
    "    pid: {matchPIDs: [{operator: In, values: [1]}]}\n"
    "    bad: {matchArgs: [{index: 0, operator: Equal, values: [x]}]}\n"
    "    other: {macros: [bin]}\n"
)


@pytest.mark.parametrize(
    ("used", "message"),
    [
        ("macros: [bin, bin]", 'macros[1]: "bin" adds matchBinaries, which is there already'),
        (
            "macros: [bin], matchBinaries: [{operator: In, values: [/y]}]",
            'macros[0]: "bin" adds matchBinaries, which is there already',
        ),
        ("macros: [other]", '"other" uses macros itself'),
        (
            "macros: [othr]",
            '"othr" is no macro of this policy; did you mean other? One of bin, pid, bad',
        ),
        (
            "macros: [bad]",
            'spec.selectorsMacros.bad.matchArgs[0].values[0]: "x" is no whole number',
        ),
    ],
)
def test_macros_that_are_refused(used: str, message: str) -> None:
    """A field comes from one place; a mistake in a macro is reported at the macro."""
    found = lines(kprobe(f", selectors: [{{{used}}}]") + "\n" + MACROS)
    assert any(message in line for line in found), found


def test_what_is_later() -> None:
    """It is named once, where it is first; who writes the policy learns what is in the way."""
    action = "{action: GetUrl, argUrl: u}"
    text = spec(
        "  podSelector: {}\n  containerSelector: {}\n  enforcers: [{calls: [sys_dup]}]\n"
        "  kprobes:\n"
        "  - {call: sys_dup, returnArgAction: TrackSock, selectors: ["
        f"{{matchActions: [{action}]}},"
        " {matchWorkloads: {podSelector: {}}}, {matchWorkloads: {}},"
        " {matchActions: [{action: GetUrl, argUrl: u}, {action: NoPost}]}]}\n"
    )
    assert later(read(text).policy) == []
    override = "{action: Override, argError: -1}"
    again = f"{{matchActions: [{override}, {override}]}}"
    text = spec(f"  usdts: [{{path: /a, provider: p, name: n, selectors: [{again}]}}]")
    assert [(one.name, one.path, one.part) for one in later(read(text).policy)] == [
        (
            "action Override",
            "spec.usdts[0].selectors[0].matchActions[0]",
            "acting on processes: of a static probe there is nothing to override; use a uprobe",
        ),
    ]
