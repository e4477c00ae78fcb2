"""What runs in a guest: the agent, under it some processes with known fates, and a written record.

Everything ends in /result: per session the agent's export, its log, and `record.json` with what the
host cannot know otherwise (pids, exit codes, what was left in the kernel and in /tmp). It judges
nothing: the tests on the host do.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import time
from pathlib import Path

RESULT = Path("/result")
PYZ = "/test/tetrapy.pyz"
EMPTY_PYZ = "/test/tetrapy-without-archive.pyz"
VICTIM = "/test/victim"
START_BOUND = 300.0  # seconds; only against an agent that neither listens nor ends

THREAD = (
    "import os, threading\n"
    f"threading.Thread(target=os.execv, args=({VICTIM!r}, {[VICTIM, 'exit', '6']!r})).start()\n"
    "import time\n"
    "time.sleep(1000)"
)

# Close to the longest path that one system call takes, with many components.
DEEP = "/test/" + "/".join(["directory-of-a-deep-tree"] * 160)

# name -> (argv, working directory, uid)
VICTIMS: dict[str, tuple[list[str | bytes], str, int]] = {
    "status": ([VICTIM, "exit", "7", "two words", "", "plain"], "/test/directory", 1234),
    "root_cwd": ([VICTIM, "exit", "0"], "/", 0),
    "killed": ([VICTIM, "signal", "9"], "/test/directory", 0),
    "crashed": ([VICTIM, "signal", "11"], "/test/directory", 0),
    "exec_again": ([VICTIM, "exec", VICTIM, "exit", "3"], "/test/directory", 0),
    "fork_only": ([VICTIM, "fork", "9"], "/test/directory", 0),
    "thread": (["/usr/bin/python3", "-c", THREAD], "/test/directory", 0),
    "script": (["/test/script", "argument"], "/test/directory", 0),
    "long": ([VICTIM, "exit", "5", *("x" * 1000 for _ in range(250))], "/test/directory", 0),
    "deep": ([VICTIM, "exit", "4"], DEEP, 0),
    "bytes": ([VICTIM, "exit", "2", b"caf\xe9", "caf\u00e9"], "/test/directory", 0),
}


def bpf_programs() -> list[int]:
    """Ids of all BPF programs in the kernel: bpf(BPF_PROG_GET_NEXT_ID)."""
    number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
    libc = ctypes.CDLL(None)
    attributes = (ctypes.c_uint32 * 32)()
    found = []
    while libc.syscall(number, 11, ctypes.byref(attributes), 12) == 0:
        found.append(attributes[1])
        attributes[0] = attributes[1]
    return found


def leftovers() -> dict[str, list[str]]:
    """What an agent could leave behind: files, and programs in the kernel."""
    places = ("/tmp", "/dev/shm", "/run")
    files = [str(path) for place in places for path in Path(place).rglob("*") if path.is_file()]
    return {"files": sorted(files), "programs": [str(number) for number in bpf_programs()]}


def run_victims() -> dict[str, dict[str, int]]:
    """Start each victim, wait for it: its pid and return code (minus the number of a signal)."""
    fates = {}
    for name, (argv, directory, uid) in VICTIMS.items():
        process = subprocess.Popen(argv, cwd=directory, user=uid)
        fates[name] = {"pid": process.pid, "code": process.wait()}
    return fates


def run_burst() -> dict[str, int]:
    """Many processes at once, again and again: pid -> exit status."""
    fates = {}
    for _ in range(25):
        batch = [subprocess.Popen([VICTIM, "exit", str(number)]) for number in range(1, 9)]
        fates.update({str(process.pid): process.wait() for process in batch})
    return fates


def session(name: str, *options: str) -> dict[str, object]:
    """One life of the agent: start, victims, SIGTERM."""
    directory = RESULT / name
    directory.mkdir()
    before = leftovers()
    export = str(directory / "export.json")
    log = directory / "log"
    started = time.monotonic()
    with log.open("wb") as output:
        agent = subprocess.Popen(
            ["/usr/bin/python3", PYZ, "--export-filename", export, *options],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
        )
    record: dict[str, object] = {"agent": agent.pid, "driver": os.getpid()}
    while b"Listening for events" not in log.read_bytes() and agent.poll() is None:
        if time.monotonic() - started > START_BOUND:
            break
        time.sleep(0.02)
    record["start_seconds"] = time.monotonic() - started
    if agent.poll() is None:
        record["during"] = leftovers()
        record["victims"] = run_victims()
        record["burst"] = run_burst()
        agent.terminate()
    record["code"] = agent.wait()
    record["before"], record["after"] = before, settled(before)
    return record


def settled(expected: dict[str, list[str]]) -> dict[str, list[str]]:
    """What is left when the kernel, too, is done: it frees programs a moment after their owner."""
    for _ in range(200):
        if leftovers() == expected:
            break
        time.sleep(0.1)
    return leftovers()


def refusal() -> dict[str, object]:
    """The agent with an emptied archive: it is expected to end by itself."""
    done = subprocess.run(
        ["/usr/bin/python3", EMPTY_PYZ, "--export-filename", "/tmp/refused.json"],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=START_BOUND,
    )
    return {"code": done.returncode, "output": done.stdout}


def main() -> None:
    os.mkdir("/test/directory")
    os.makedirs(DEEP)
    record: dict[str, object] = {"btf": os.path.exists("/sys/kernel/btf")}
    record["ring"] = session("ring")
    record["perf"] = session("perf", "--use-perf-ring-buffer")
    if os.path.exists(EMPTY_PYZ):
        record["refusal"] = refusal()
    (RESULT / "record.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main()
