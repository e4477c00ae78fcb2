# SPDX-License-Identifier: Apache-2.0
"""Policies, loaded where the real Tetragon was asked for them: the same events, field for field.

The recordings and the program that triggers them are not part of this repository (`TETRAPY_SHARED`,
or `shared` beside it); where they are not there, nothing is compared.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vm.guests import PYZ
from tests.vm.test_lives import PLACES, compiled
from tools.guest import kernels, qemu

# Recorded cases that tetrapy answers as Tetragon does. docs/policies.md says which differ, and why.
SHORT = ("01-file-prefix", "09-tcp-connect", "37-tp-raw-syscalls", "39-uprobe", "51-macros")
MORE = (
    "05-write-buf",
    "11-sockaddr-un",
    "13-path-dentry",
    "15-binprm",
    "19-kernel-cap-t",
    "21-small-ints",
    "23-binaries",
    "27-pids-notin",
    "33-data-current-task",
    "35-tp-syscall",
    "47-ratelimit-process",
    "53-multi-hook-merged",
    "59-ignore-call-not-found",
    "73-capabilities-one",
    "77-raw-tracepoint-resolve",
)

_CASE = """
busybox mkdir -p -m 777 /tmp/g; cd /
sh /cases/{case}/setup.sh >/result/{case}.setup 2>&1
python3 /test/tetrapy.pyz --export-filename /result/{case}.json --sensor ebpf \
    --tracing-policy /cases/{case}/policy.yaml >/result/{case}.log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/{case}.log; do
    sleep 0.1; kill -0 $agent || break
done
sh /cases/{case}/load.sh >/result/{case}.out 2>&1
sleep 1
kill -TERM $agent; wait $agent
busybox rm -rf /tmp/g
"""


def recording() -> Path:
    """The directory of the recorded policies; the test is skipped without it."""
    for place in PLACES:
        found = Path(place, "reference/tetragon/policy-golden")
        if place and found.is_dir():
            return found
    pytest.skip("the recordings of Tetragon are not here: set TETRAPY_SHARED")


def answers(cases: tuple[str, ...], out: Path) -> None:
    """Run the cases in one guest: CASE.json, CASE.log and CASE.out in a directory."""
    place = recording()
    if os.uname().machine != "x86_64":
        pytest.skip("the recordings are of x86_64")
    load = compiled((place / "load/gl.c").read_text(), out / "gl").read_bytes()
    files: dict[str, qemu.Content] = {"/test/tetrapy.pyz": PYZ, "/usr/bin/dash": Path("/bin/dash")}
    for name in ("gl", "b1", "b2"):
        files[f"/gl/{name}"] = load
    for case in cases:
        for name in ("policy.yaml", "setup.sh", "load.sh"):
            content = place / "cases" / case / name
            if content.exists():
                files[f"/cases/{case}/{name}"] = content
    script = "".join(_CASE.format(case=case) for case in cases)
    result = qemu.run(kernels.get("6.1"), script, files)
    for name, data in result.files.items():
        (out / name).write_bytes(data)


def compare(cases: tuple[str, ...], out: Path) -> None:
    """Hold the answers to the recordings, by the comparison that comes with them."""
    place = recording()
    differences = {}
    for case in cases:
        expected = place / "cases" / case / "expected.jsonl"
        command = [sys.executable, place / "compare.py", expected, out / f"{case}.json", case]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            log = (out / f"{case}.log").read_text(errors="replace")
            differences[case] = f"{ended.stdout}{ended.stderr}\n{log[-1000:]}"
    assert not differences


def test_events_are_those_of_tetragon(tmp_path: Path) -> None:
    """A few cases: each kind of hook, paths, sockets, lists, macros."""
    answers(SHORT, tmp_path)
    compare(SHORT, tmp_path)


@pytest.mark.matrix
def test_more_events_are_those_of_tetragon(tmp_path: Path) -> None:
    """The others, which take minutes."""
    answers(MORE, tmp_path)
    compare(MORE, tmp_path)
