# SPDX-License-Identifier: Apache-2.0
"""Whether a policy acts, and in which mode it is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.harmless import expect_harmless, expect_harmless_flags
from tests.support.policies import kprobe, read, selector, spec
from tetrapy.policy.acting import mode_of

ACTING = "{matchActions: [{action: Post}, {action: Sigkill}]}"
MODE = "  options: [{name: policy-mode, value: %s}]\n"


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (kprobe(), "monitor_only"),
        (selector("{matchActions: [{action: Post}, {action: NoPost}]}"), "monitor_only"),
        (selector(ACTING), "enforce"),
        (selector("{matchReturnActions: [{action: Signal, argSig: 1}]}"), "enforce"),
        (
            spec(
                "  selectorsMacros: {m: {matchActions: [{action: Sigkill}]}}\n"
                "  kprobes: [{call: f, selectors: [{macros: [m]}]}]\n"
            ),
            "enforce",
        ),
        (selector(ACTING) + "\n" + MODE % "monitor", "monitor"),
        (selector(ACTING) + "\n" + MODE % "enforce", "enforce"),
        (selector("{}") + "\n" + MODE % "enforce", "monitor_only"),
    ],
)
def test_the_mode_of_a_policy(text: str, mode: str) -> None:
    """What has no action to enforce only monitors, whatever it says."""
    assert mode_of(read(text).policy) == mode


def test_tests_attach_nothing_that_acts() -> None:
    """The support of tests that run on this machine refuses such a policy, in any mode."""
    assert expect_harmless(kprobe()) == kprobe()
    for text in (selector(ACTING), selector(ACTING) + "\n" + MODE % "monitor"):
        with pytest.raises(AssertionError, match="guests"):
            expect_harmless(text)


def test_tests_attach_nothing_of_the_library_that_acts(tmp_path: Path) -> None:
    """What a flag names of the library is looked at as what is in a file."""
    (tmp_path / "acts.yaml").write_text(selector(ACTING))
    (tmp_path / "tells.yaml").write_text(kprobe())
    expect_harmless_flags(["--tracing-policy=library:tells"], tmp_path)
    for flags in (["--tracing-policy=library:acts"], ["--tracing-policy", "library:acts"]):
        with pytest.raises(AssertionError, match="guests"):
            expect_harmless_flags(flags, tmp_path)
    expect_harmless_flags(["--tracing-policy", "library:sensitive-files"])
