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


@pytest.mark.parametrize(
    ("section", "asked", "warning"),
    [
        ("lsmhooks: [{hook: file_open", "", "is 0, which is no error: the call returns -1"),
        ("lsmhooks: [{hook: file_open", ", argError: 5", "is 5, which is no error: the call"),
        ("lsmhooks: [{hook: file_open", ", argError: -13", ""),
        ("kprobes: [{call: security_file_open, syscall: false", "", "is 0, and the function runs"),
        ("kprobes: [{call: security_file_open, syscall: false", ", argError: -1", ""),
        ("kprobes: [{call: sys_getpgid, syscall: true", "", ""),
    ],
)
def test_an_override_that_names_no_error(section: str, asked: str, warning: str) -> None:
    """It would refuse nothing: a warning says what becomes of the call."""
    action = f"{{action: Override{asked}}}"
    found = read(spec(f"  {section}, selectors: [{{matchActions: [{action}]}}]}}]")).warnings
    shown = [str(one) for one in found if "argError" in str(one)]
    assert len(shown) == bool(warning)
    assert all(warning in one for one in shown)
