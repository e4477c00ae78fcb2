# SPDX-License-Identifier: Apache-2.0
"""Policies, loaded where the real Tetragon was asked for them: the same events, field for field.

The recordings and the program that triggers them are not part of this repository (`TETRAPY_SHARED`,
or `shared` beside it); where they are not there, nothing is compared.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vm.guests import PYZ
from tests.vm.test_lives import COMPILER, PLACES, compiled
from tools.guest import kernels, qemu

# Recorded cases that tetrapy answers as Tetragon does. docs/policies.md says which differ, and why.
SHORT = (
    "01-file-prefix",
    "07-write-maxdata",
    "09-tcp-connect",
    "37-tp-raw-syscalls",
    "39-uprobe",
    "43-lsm-file-open",
    "51-macros",
)
MORE = (
    "05-write-buf",
    "11-sockaddr-un",
    "13-path-dentry",
    "15-binprm",
    "19-kernel-cap-t",
    "21-small-ints",
    "23-binaries",
    "25-parent-binaries",
    "27-pids-notin",
    "29-namespace-changes",
    "31-capability-changes",
    "33-data-current-task",
    "35-tp-syscall",
    "45-loader",
    "47-ratelimit-process",
    "53-multi-hook-merged",
    "59-ignore-call-not-found",
    "61-writev",
    "65-namespaced",
    "67-fentry",
    "73-capabilities-one",
    "77-raw-tracepoint-resolve",
    "79-user-stack",
)

# On a kernel without BTF, by the types of the archive.
WITHOUT_BTF = (
    "01-file-prefix",
    "09-tcp-connect",
    "23-binaries",
    "37-tp-raw-syscalls",
    "39-uprobe",
)

# What differs all the same, as compare.py takes it: `#NUMBER FIELD` of events.
DIFFERING = {
    # Tetragon tells no time of these; the program is compiled anew, so that it is another build.
    "45-loader": ("^#\\d+ time", "^#2 process_loader\\.buildid"),
}

# Lines of a recording that Tetragon is wrong about: case -> words of such a line.
WRONG = {
    # Of a process that was forked it knows no parent, so that any filter lets it pass: here one
    # whose parent is /gl/gl passes a filter for /gl/b1.
    "25-parent-binaries": (b'"int_arg":5001', b'"binary":"/gl/gl", "arguments":"tree'),
}

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


def answers(cases: tuple[str, ...], out: Path, kernel: str = "6.1") -> None:
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
    if "79-user-stack" in cases:
        files["/gl/gs"] = _with_frames(place / "load/gs.c", out)
    if "45-loader" in cases:
        files.update(_dynamic(place, out))
    script = "".join(_CASE.format(case=case) for case in cases)
    result = qemu.run(kernels.get(kernel), script, files, append="lsm=bpf")
    for name, data in result.files.items():
        (out / name).write_bytes(data)


def _with_frames(source: Path, out: Path) -> Path:
    """A static program whose stack can be followed by its frame pointers."""
    assert COMPILER is not None
    flags = ["-w", "-O1", "-fno-omit-frame-pointer", "-static", "-no-pie"]
    subprocess.run([COMPILER, *flags, "-o", out / "gs", source], check=True)
    return out / "gs"


def _dynamic(place: Path, out: Path) -> dict[str, qemu.Content]:
    """A program with its libraries, for the case that tells what is mapped."""
    assert COMPILER is not None
    hello = out / "hello"
    subprocess.run([COMPILER, "-w", "-o", hello, place / "load/hello.c"], check=True)
    return {
        "/gl/dyn/hello": hello,
        "/gl/dyn/ld.so": Path("/lib64/ld-linux-x86-64.so.2"),
        "/gl/dyn/libc.so.6": Path("/lib/x86_64-linux-gnu/libc.so.6"),
    }


def compare(cases: tuple[str, ...], out: Path) -> None:
    """Hold the answers to the recordings, by the comparison that comes with them."""
    place = recording()
    differences = {}
    for case in cases:
        expected = place / "cases" / case / "expected.jsonl"
        if case in DIFFERING:
            known = out / f"{case}.known"
            known.mkdir()
            (known / "ignore").write_text("\n".join(DIFFERING[case]))
            expected = Path(shutil.copy(expected, known))
        if case in WRONG:
            lines = expected.read_bytes().splitlines(keepends=True)
            right = [line for line in lines if not all(word in line for word in WRONG[case])]
            assert len(right) == len(lines) - 1
            expected = out / f"{case}.expected"
            expected.write_bytes(b"".join(right))
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


@pytest.mark.matrix
def test_events_of_a_kernel_without_btf(tmp_path: Path) -> None:
    """The same events: paths, sockets and executables are read by types of the archive."""
    answers(WITHOUT_BTF, tmp_path, "6.1-nobtf")
    compare(WITHOUT_BTF, tmp_path)
