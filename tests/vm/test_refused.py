# SPDX-License-Identifier: Apache-2.0
"""What only the boot of a kernel can refuse."""

from __future__ import annotations

from tests.vm.guests import PYZ
from tools.guest import kernels, qemu

KERNEL = "6.1"


def test_lockdown() -> None:
    """A kernel that is locked down against reading its memory is named as the obstacle."""
    result = qemu.run(
        kernels.get(KERNEL),
        "/test/tetrapy.pyz --sensor=ebpf --export-filename /tmp/events.json; echo code $?",
        {"/test/tetrapy.pyz": PYZ},
        append="lockdown=confidentiality lsm=lockdown",
    )
    (line,) = [line for line in result.output.splitlines() if "level=error" in line]
    assert "locked down" in line
    assert "boot with lockdown=integrity" in line
    assert "code 255" in result.output
