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


WHY_NO_HASH = "IMA tells it to programs that may sleep, which those here may not"


def test_what_is_later() -> None:
    """Features of part two are named, each once, where they are first."""
    action = "{action: GetUrl, argUrl: u}"
    text = spec(
        "  podSelector: {}\n  containerSelector: {}\n  enforcers: [{calls: [sys_dup]}]\n"
        "  selectorsMacros: {m: {matchReturnActions: [{action: Post, imaHash: true}]}}\n"
        "  kprobes:\n"
        "  - {call: sys_dup, returnArgAction: TrackSock, selectors: ["
        f"{{matchActions: [{action}]}},"
        " {matchWorkloads: {podSelector: {}}}, {matchWorkloads: {}},"
        " {matchActions: [{action: GetUrl, argUrl: u}, {action: NoPost}]}]}\n"
    )
    assert [(one.name, one.path, one.part) for one in later(read(text).policy)] == [
        (
            "imaHash",
            "spec.selectorsMacros.m.matchReturnActions[0].imaHash",
            "acting on processes: " + WHY_NO_HASH,
        ),
    ]
    assert later(read(kprobe(", selectors: [{matchActions: [{action: NoPost}]}]")).policy) == []


@pytest.mark.parametrize(
    ("hook", "name", "why"),
    [
        ("uprobes: [{path: /a, symbols: [f], SELECTORS}]", "Override", "changes registers"),
        ("lsmhooks: [{hook: file_open, SELECTORS}]", "imaHash", "programs that may sleep"),
    ],
)
def test_why_an_action_is_later(hook: str, name: str, why: str) -> None:
    """Who writes the policy learns what is in the way."""
    action = (
        "{action: Override, argError: -1}"
        if name == "Override"
        else "{action: Post, imaHash: true}"
    )
    text = hook.replace("SELECTORS", f"selectors: [{{matchActions: [{action}]}}]")
    (feature,) = later(read(spec(f"  {text}\n")).policy)
    assert name in feature.name
    assert why in str(feature)
