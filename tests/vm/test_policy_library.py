# SPDX-License-Identifier: Apache-2.0
"""The policies that tetrapy carries, all at once in a guest: each tells of what it is for, and of
nothing that is like it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.vm.guests import PYZ
from tools.guest import kernels, qemu

NAMES = sorted(path.stem for path in (ROOT / "policies").glob("*.yaml"))

LOAD = """
import ctypes, os, resource, signal, socket, struct, time
libc = ctypes.CDLL(None, use_errno=True)
resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

def opened(path, mode="rb"):
    with open(path, mode):
        pass

def sensitive_files(wanted):
    opened("/etc/shadow" if wanted else "/etc/hostname")

def privilege_escalation(wanted):
    os.setresuid(1000, 1000, 0)
    os.setuid(0 if wanted else 1000)

def kernel_modules(wanted):
    if wanted:
        libc.syscall(175, ctypes.create_string_buffer(64), 64, b"")  # init_module
    else:
        opened("/proc/modules")

def bpf_and_perf(wanted):
    code = ctypes.create_string_buffer(bytes.fromhex("b7000000000000009500000000000000"))
    text = ctypes.create_string_buffer(b"GPL")
    if wanted:
        data = struct.pack("<IIQQ24x", 1, 2, ctypes.addressof(code), ctypes.addressof(text))
    else:
        data = struct.pack("<4I", 2, 4, 8, 3)
    buffer = ctypes.create_string_buffer(data.ljust(128, b"\\0"), 128)
    assert libc.syscall(321, 5 if wanted else 0, buffer, 72) >= 0

def process_memory(wanted):
    if not wanted:
        libc.ptrace(0, 0, 0, 0)  # PTRACE_TRACEME
        return
    pid = os.fork()
    if not pid:
        time.sleep(60)
    libc.ptrace(16, pid, 0, 0)  # PTRACE_ATTACH
    os.kill(pid, signal.SIGKILL)

def fileless_execution(wanted):
    if wanted:
        fd = os.memfd_create("hidden")
        with open("/bin/busybox", "rb") as file:
            os.write(fd, file.read())
        os.execv(f"/proc/self/fd/{fd}", ["true"])
    os.execv("/bin/busybox", ["true"])

def connect(address):
    with socket.socket() as one:
        one.settimeout(5)
        try:
            one.connect((address, 9))
        except OSError:
            pass

def outbound_connections(wanted):
    connect("192.0.2.1" if wanted else "127.0.0.1")

def reverse_shells(wanted):
    if wanted:
        os.dup2(os.open("/dev/null", os.O_WRONLY), 2)  # nobody listens there
        os.execv("/bin/busybox", ["nc", "127.0.0.1", "9"])
    connect("127.0.0.1")

def container_escape(wanted):
    if wanted:
        assert libc.unshare(0x20000) == 0  # CLONE_NEWNS
    opened("/proc/sys/kernel/core_pattern")

def mounts(wanted):
    if wanted:
        assert libc.mount(b"none", b"/mnt", b"tmpfs", 0, b"") == 0
    else:
        os.listdir("/mnt")

def ssh_and_pam(wanted):
    opened("/root/.ssh/authorized_keys", "ab" if wanted else "rb")

def package_manager(wanted):
    opened("/usr/bin/new", "ab" if wanted else "rb")

# Each deed is a process of its own, known by its pid.
for name in open("/names").read().split():
    for act in ("like", "wanted"):
        pid = os.fork()
        if not pid:
            try:
                globals()[name.replace("-", "_")](act == "wanted")
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        print(name, act, pid, flush=True)
"""
SCRIPT = """
busybox mkdir -p /root/.ssh /mnt /usr/bin /etc
for file in etc/shadow etc/hostname root/.ssh/authorized_keys usr/bin/new; do echo a > /$file; done
busybox ip link set lo up; busybox ip address add 192.0.2.1/24 dev lo
set --; for name in $(busybox cat /names); do set -- "$@" --tracing-policy library:$name; done
python3 /test/tetrapy.pyz --export-filename /result/events --sensor ebpf "$@" >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || break; done
python3 /test/tetrapy.pyz policy list --json >/result/list
python3 /load.py >/result/load 2>/result/errors
sleep 1
kill -TERM $agent; wait $agent
"""


@pytest.mark.matrix
def test_the_library(tmp_path: Path) -> None:
    """All are loaded whole; of each two deeds the one is told by its policy, the other is not."""
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/names": " ".join(NAMES).encode(),
        "/load.py": LOAD.encode(),
    }
    result = qemu.run(kernels.get("6.1"), SCRIPT, files).files
    (tmp_path / "log").write_bytes(result["log"])
    listed = json.loads(result["list"])["policies"]
    states = {one["name"]: (one["state"], one["error"]) for one in listed}
    assert states == dict.fromkeys(NAMES, ("enabled", ""))
    assert result["errors"] == b""
    rows = [line.split() for line in result["load"].decode().splitlines()]
    deeds = {(name, act): int(pid) for name, act, pid in rows}
    assert len(deeds) == 2 * len(NAMES)
    calls = [json.loads(line).get("process_kprobe") for line in result["events"].splitlines()]
    told = {(body["policy_name"], body["process"]["pid"]) for body in calls if body}
    assert [name for name in NAMES if (name, deeds[name, "wanted"]) not in told] == []
    assert [name for name in NAMES if (name, deeds[name, "like"]) in told] == []
