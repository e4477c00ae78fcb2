# SPDX-License-Identifier: Apache-2.0
"""Odd lives of processes, told as the real Tetragon told them in the same kind of guest.

The recording and its program are not part of this repository (`TETRAPY_SHARED`, or `shared` beside
it); where they are not there, nothing is compared.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.vm.guests import PYZ
from tools.guest import kernels, qemu

PLACES = (os.environ.get("TETRAPY_SHARED", ""), *(PYZ.parents[n] / "shared" for n in (2, 3)))
COMPILER = shutil.which("gcc")

_SCRIPT = """
# As in the recording: a directory, and no link to /usr/bin.
/usr/bin/busybox rm /bin
/usr/bin/busybox mkdir /bin
/usr/bin/busybox mount --bind /usr/bin /bin
cd /
python3 /test/tetrapy.pyz --export-filename /result/export.json --sensor ebpf \
    --enable-process-cred --enable-process-ns --enable-ancestors base >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || exit 3; done
/lives
/bin/sleep 4
kill -TERM $agent
wait $agent
"""

Shown = dict[str, Any]

_HUGE = "hugeargs " + "H" * 99_999
# Where tetrapy tells more than the recorded Tetragon did, or follows a later one: by kind of event
# and recorded arguments, what tetrapy tells.
_NEWER: dict[tuple[str, str], Shown] = {
    # An empty argument is written "" by Tetragon since 2026-09, which is later than the recording.
    ("process_exec", "emptyargs  x"): {"arguments": 'emptyargs "" x ""'},
    ("process_exit", "emptyargs  x"): {"arguments": 'emptyargs "" x ""'},
    # Tetragon could not keep 100 kB. What repeats an exec's text repeats 4 KiB of it.
    ("process_exec", "<enomem>"): {"arguments": _HUGE},
    ("process_exit", "<enomem>"): {
        "arguments": _HUGE[:4096],
        "flags": "execve truncArgs rootcwd clone dataArgs",
    },
}
# The files that are not those at the path that was written, which the recorded Tetragon does not
# say: by binary and arguments, path and marks.
_FILES: dict[str, tuple[str, set[str]]] = {
    "/tmp/lnk symlink": ("/bin/true0", set()),
    "/tmp/s.sh opt /tmp/s.sh script": ("/bin/true0", {"interpreter"}),
    "/tmp/s2.sh /tmp/s2.sh dashscript": ("/bin/dash", {"interpreter"}),
    "/dev/fd/3 memfd": ("/memfd:mem", {"deleted", "foreign"}),
    "/dev/fd/3 fexecve": ("/bin/true0", set()),
    "/dev/fd/3/true0 execveatdir": ("/bin/true0", set()),
    "/t chroot": ("/tmp/jail/t", {"foreign"}),
    "/dev/fd/4 deletedbin": ("/tmp/delbin", {"deleted"}),
    "//bin/./true0 doubleslash": ("/bin/true0", set()),
    "/bin/sleep 4": ("/bin/busybox", set()),
}


def recording() -> Path:
    """The directory of the recorded lives; the test is skipped without it."""
    for place in PLACES:
        found = Path(place, "reference/tetragon/lives")
        if place and found.is_dir():
            return found
    pytest.skip("the recording of Tetragon is not here: set TETRAPY_SHARED")


def compiled(source: str, target: Path) -> Path:
    """A static program of C text."""
    if COMPILER is None:
        pytest.skip("the recorded lives are compiled with gcc, which is not here")
    command = [COMPILER, "-w", "-O1", "-static", "-x", "c", "-", "-o", target, "-lpthread"]
    subprocess.run(command, input=source, text=True, check=True)
    return target


def shown(process: Shown, numbers: dict[int, int]) -> Shown:
    """What does not differ between two runs: times and numbers of inodes do, pids are numbered.

    `numbers` has a number for each pid of the compared processes; another's is -1.
    """
    one = {
        name: value
        for name, value in process.items()
        if name not in {"exec_id", "parent_exec_id", "start_time", "tid"}
    }
    one["pid"] = numbers.get(one["pid"], -1)
    one["ns"] = {kind: place.get("is_host", False) for kind, place in one.get("ns", {}).items()}
    return one


def file_of(process: Shown) -> tuple[str, set[str]] | None:
    """Take out of a process what is reported of its file beyond what the recorded Tetragon
    tells.
    """
    own = process.pop("executed_file", None)
    properties = process.get("binary_properties", {})
    file = properties.pop("file", {})
    if file and file["inode"]["links"] == 0:
        properties["file"] = "without a name"
    elif not properties:
        process.pop("binary_properties", None)
    return None if own is None else (file["path"], own.keys() - {"device"})


def lives(lines: list[Shown]) -> dict[tuple[str, int, int], Shown]:
    """The events of /lives and its descendants, by kind, number of the process, and number.

    The processes are numbered by their pids' order: the kernel may start a thread of its own
    between any two of them, which takes a pid.
    """
    processes = [
        next(line[name] for name in line if name.startswith("process_"))["process"]
        for line in lines
    ]
    first = min(one["pid"] for one in processes if one["binary"] == "/lives")
    # A sleep that the shell starts behind it.
    last = max(one["pid"] for one in processes if one["binary"] == "/bin/sleep")
    pids = sorted({one["pid"] for one in processes if first <= one["pid"] <= last})
    numbers = {pid: number for number, pid in enumerate(pids)}
    found: dict[tuple[str, int, int], Shown] = {}
    for line in lines:
        kind = next(name for name in line if name.startswith("process_"))
        body = line[kind]
        file = file_of(body["process"])
        process = shown(body["process"], numbers)
        if process["pid"] < 0:
            continue
        parent = shown(body["parent"], numbers)
        reported = {
            "process": process,
            "file": file,
            # Who started /lives, and whom orphans get, depends on the guest.
            "parent": parent if parent["pid"] >= 0 else None,
            "ancestors": [
                one
                for one in (shown(each, numbers) for each in body.get("ancestors", []))
                if one["pid"] >= 0
            ],
            "signal": body.get("signal"),
            "status": body.get("status"),
        }
        same = sum(1 for other in found if other[:2] == (kind, process["pid"]))
        found[kind, process["pid"], same] = reported
    return found


def test_lives_are_reported_as_tetragon_told_them(tmp_path: Path) -> None:
    """107 events, equal in all but what is named: here, in `_NEWER` and in `_FILES`."""
    place = recording()
    if os.uname().machine != "x86_64":
        pytest.skip("the recording is of x86_64")
    files: dict[str, qemu.Content] = {
        "/lives": compiled((place / "lives.c").read_text(), tmp_path / "lives"),
        # /bin is a link in the guest.
        "/usr/bin/true0": compiled("int main(void) { return 0; }", tmp_path / "true0"),
        "/usr/bin/dash": Path("/bin/dash").resolve(),
        "/test/tetrapy.pyz": PYZ,
    }
    result = qemu.run(kernels.get("6.1"), _SCRIPT, files)
    ours = lives([json.loads(line) for line in result.files["export.json"].splitlines()])
    recorded = (place / "tetragon.jsonl").read_text().splitlines()
    theirs = lives([json.loads(line) for line in recorded])
    assert ours.keys() == theirs.keys()
    assert len(theirs) == 107
    theirs["process_exit", 38, 0]["signal"] = "SIGRTMIN"  # real-time ones have no names in Tetragon
    for key, reported in theirs.items():
        process = reported["process"]
        arguments = process.get("arguments", "")
        if key[0] == "process_exec":
            reported["file"] = _FILES.get(f"{process['binary']} {arguments}")
        process.update(_NEWER.get((key[0], arguments), {}))
    different = {
        key: (reported, ours[key]) for key, reported in theirs.items() if reported != ours[key]
    }
    assert not different
