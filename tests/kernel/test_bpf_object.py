# SPDX-License-Identifier: Apache-2.0
"""BPF objects as the kernel takes and refuses them, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bpf_compile import bpf_object
from tetrapy.errors import KernelError
from tetrapy.kernel import bundle
from tetrapy.kernel.bpf_object import BpfObject, refusal_reason
from tetrapy.kernel.kernel_memory import OBJECT

ROOT = Path(__file__).resolve().parents[2]
REFUSED = Path(__file__).parent / "relocations" / "refused.bpf.c"

TURNS = """
from tetrapy.kernel import bundle
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.kernel_memory import OBJECT

data = bundle.read(OBJECT)
first = BpfObject(data, "first")
for turn in range(20):
    BpfObject(data, "later").close()
try:
    BpfObject(b"no object", "none")
except Exception as err:
    print(err)
try:
    first.set_max_entries("none", 1)
except Exception as err:
    print(err)
first.load()
first.close()
print("ended")
"""


def test_verifiers_reason_is_reported_whole() -> None:
    """It stands behind more than a hundred kilobytes of what the verifier looked at before."""
    refused = BpfObject(bpf_object(REFUSED), "refused")
    with pytest.raises(KernelError) as caught:
        refused.load()
    refused.close()
    log = caught.value.log
    assert len(log) > 100_000
    assert "-- END PROG LOAD LOG --" in log
    reason = refusal_reason(log)
    assert "scalar" in reason
    assert str(caught.value).endswith(reason)


def test_objects_may_end_in_any_order() -> None:
    """libbpf's print callback is the library's, so no object takes it away."""
    done = subprocess.run(
        [sys.executable, "-c", TURNS],
        env={"PYTHONPATH": str(ROOT / "agent")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "ended"
    assert "not accepted by libbpf" in done.stdout


def test_messages_belong_to_the_object_they_are_about() -> None:
    """What libbpf says of one object is not kept with another that is open at the same time."""
    good = BpfObject(bundle.read(OBJECT), "good")
    with pytest.raises(KernelError) as caught:
        BpfObject(b"no object", "bad")
    good.close()
    assert caught.value.log
    assert good.messages == []


def test_descriptors_outlast_libbpfs_object() -> None:
    """A settled object has the same maps and programs, until it is closed."""
    loaded = BpfObject(bundle.read(OBJECT), "settled")
    loaded.load()
    before = {name: identity(fd) for name, fd in loaded.program_fds().items()}
    opened = len(os.listdir("/proc/self/fd"))
    loaded.settle()
    assert before
    assert {name: identity(fd) for name, fd in loaded.program_fds().items()} == before
    assert len(os.listdir("/proc/self/fd")) <= opened
    kept = list(loaded.program_fds().values())
    loaded.close()
    loaded.close()
    for fd in kept:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def identity(program: int) -> str:
    """The kernel's number of a program."""
    lines = Path(f"/proc/self/fdinfo/{program}").read_text().splitlines()
    return next(line for line in lines if line.startswith("prog_id"))
