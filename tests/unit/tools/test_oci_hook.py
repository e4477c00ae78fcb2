# SPDX-License-Identifier: Apache-2.0
"""The hook of container runtimes, as it is built for both architectures."""

from __future__ import annotations

import pytest

from tools import elf_check, oci_hook
from tools.contents import ARCHITECTURES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_it_needs_nothing_of_the_host(arch: str) -> None:
    """It is static, and for the architecture that its release is for."""
    found = elf_check.queries(oci_hook.program(arch).read_bytes())
    assert found.machine == ARCHITECTURES[arch]
    assert not found.libraries
