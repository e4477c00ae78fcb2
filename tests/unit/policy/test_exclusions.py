# SPDX-License-Identifier: Apache-2.0
"""Whether a policy leaves out whatever is at a path, or what is the host's there."""

from __future__ import annotations

import pytest

from tests.support.policies import kprobe, read, spec
from tetrapy.policy.exclusions import means_written_path

OPTION = "  options: [{name: written-path, value: %s}]\n  kprobes: []\n"
TWICE = "  options: [{name: written-path, value: 'true'}, {name: written-path, value: 'false'}]\n"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (kprobe(), False),
        (spec(OPTION % "'true'"), True),
        (spec(OPTION % "'false'"), False),
        (spec(f"{TWICE}  kprobes: []\n"), False),
    ],
)
def test_the_option(text: str, written: bool) -> None:
    """The last one counts."""
    assert means_written_path(read(text).policy) == written
