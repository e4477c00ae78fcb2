# SPDX-License-Identifier: Apache-2.0
"""Policies that act on processes are attached in guests only, never on a developer's machine."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from tetrapy.daemon.policy_library import PREFIX
from tetrapy.errors import PolicyError
from tetrapy.policy.acting import MONITOR_ONLY, mode_of
from tetrapy.policy.read import read_policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIBRARY = Path(__file__).resolve().parents[2] / "policies"
"""Where the build takes the policies from that the file carries."""


def expect_harmless(text: str) -> str:
    """The text of a policy; AssertionError for one that sends signals or overrides."""
    try:
        policy = read_policy(text).policy
    except PolicyError:
        return text  # which no agent loads
    assert mode_of(policy) == MONITOR_ONLY, f"acts on processes, which only guests may see: {text}"
    return text


def expect_harmless_flags(flags: Sequence[str], library: Path = LIBRARY) -> None:
    """The same of the policies that an agent with these flags loads at its start."""
    for path in _files(flags, library):
        expect_harmless(path.read_bytes().decode("utf-8", "replace"))


def _files(flags: Sequence[str], library: Path) -> Iterator[Path]:
    words = [part for flag in flags for part in flag.split("=", 1)]
    for name, value in itertools.pairwise(words):
        if name in {"--tracing-policy", "--tracing-policy-dir"}:
            place = Path(value)
            if value.startswith(PREFIX):  # which the agent finds in its file, not on the disk
                place = library / f"{value[len(PREFIX) :]}.yaml"
            found = place.rglob("*") if place.is_dir() else [place]
            yield from (path for path in found if path.is_file())
