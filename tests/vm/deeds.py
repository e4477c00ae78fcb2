# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: what the policies of the library are for, each deed in a process of its own.

Prints a line for each: the policy, the function of one of its hooks, or `like` for what no hook
is for, and the pid.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
# Numbers of system calls, of x86_64.
PIVOT_ROOT, INIT_MODULE, DELETE_MODULE, PERF_EVENT_OPEN = 155, 175, 176, 298
OPEN_BY_HANDLE_AT, READV, WRITEV, FINIT_MODULE, BPF, MOVE_MOUNT = 304, 310, 311, 313, 321, 429
CAPGET, CAPSET, CAP_SYS_ADMIN, NEWNS, NEWUSER = 125, 126, 21, 0x20000, 0x10000000
BUSYBOX, KEYS = "/bin/busybox", "/root/.ssh/authorized_keys"
PORT = 99

Deed = Callable[[], object]


def opened(path: str, mode: str = "rb") -> None:
    with open(path, mode):
        pass


def becomes_root(wanted: bool) -> None:
    os.setresuid(1000, 1000, 0)
    os.setuid(0 if wanted else 1000)


def raises_capability() -> None:
    """One that it may have, and has put aside."""
    head = struct.pack("<Ii", 0x20080522, 0)
    sets = ctypes.create_string_buffer(24)
    assert LIBC.syscall(CAPGET, head, sets) == 0
    effective, *rest = struct.unpack("<6I", sets.raw)
    for bits in (effective & ~(1 << CAP_SYS_ADMIN), effective):
        assert LIBC.syscall(CAPSET, head, struct.pack("<6I", bits, *rest)) == 0


def user_namespace() -> None:
    os.setresuid(1000, 1000, 1000)
    LIBC.unshare(NEWUSER)


def bpf(wanted: bool) -> None:
    code = ctypes.create_string_buffer(bytes.fromhex("b7000000000000009500000000000000"))
    text = ctypes.create_string_buffer(b"GPL")
    if wanted:
        data = struct.pack("<IIQQ24x", 1, 2, ctypes.addressof(code), ctypes.addressof(text))
    else:
        data = struct.pack("<4I", 2, 4, 8, 3)
    buffer = ctypes.create_string_buffer(data.ljust(128, b"\0"), 128)
    assert LIBC.syscall(BPF, 5 if wanted else 0, buffer, 72) >= 0


def perf_event() -> None:
    attributes = struct.pack("<II", 1, 128).ljust(128, b"\0")  # the clock of the processor
    assert LIBC.syscall(PERF_EVENT_OPEN, attributes, 0, -1, -1, 0) >= 0


def attaches() -> None:
    pid = os.fork()
    if not pid:
        time.sleep(60)
    LIBC.ptrace(16, pid, 0, 0)  # PTRACE_ATTACH
    os.kill(pid, signal.SIGKILL)


def runs_memory() -> None:
    fd = os.memfd_create("hidden")
    with open(BUSYBOX, "rb") as file:
        os.write(fd, file.read())
    os.execv(f"/proc/self/fd/{fd}", ["true"])


def connect(address: str) -> None:
    with socket.socket() as one, contextlib.suppress(OSError):
        one.settimeout(5)
        one.connect((address, 9))


def shell_connects() -> None:
    os.dup2(os.open("/dev/null", os.O_WRONLY), 2)  # nobody listens there
    os.execv(BUSYBOX, ["nc", "127.0.0.1", "9"])


def shell_listens() -> None:
    shell = os.getpid()
    if os.fork():
        os.execv(BUSYBOX, ["nc", "-l", "-p", str(PORT)])
    tables = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
    while not any(f":{PORT:04X} " in table.read_text() for table in tables if table.exists()):
        assert os.getppid() == shell, "it waits for nobody"
        time.sleep(0.05)
    os.kill(shell, signal.SIGTERM)


def contained(deed: Deed) -> Deed:
    """In mounts of its own."""

    def act() -> None:
        assert LIBC.unshare(NEWNS) == 0
        with contextlib.suppress(OSError):
            deed()

    return act


def mount() -> None:
    assert LIBC.mount(b"none", b"/mnt", b"tmpfs", 0, b"") == 0


def unmount() -> None:
    mount()
    assert LIBC.umount2(b"/mnt", 0) == 0


def asks_runtime() -> None:
    socket.socket(socket.AF_UNIX).connect("/run/docker.sock")


def renamed(new: str) -> Deed:
    """A fresh file, to that name."""

    def act() -> None:
        fresh = f"{os.path.dirname(new)}/.fresh"
        opened(fresh, "wb")
        os.rename(fresh, new)

    return act


def system_call(number: int, *arguments: object) -> Deed:
    """One that the kernel may refuse: policies see it all the same."""
    return lambda: LIBC.syscall(number, *arguments)


PATTERN = "/proc/sys/kernel/core_pattern"
LIKE: dict[str, Deed] = {
    "sensitive-files": lambda: opened("/etc/hostname"),
    "privilege-escalation": lambda: becomes_root(False),
    "kernel-modules": lambda: opened("/proc/modules"),
    "bpf-and-perf": lambda: bpf(False),
    "process-memory": lambda: LIBC.ptrace(0, 0, 0, 0),  # PTRACE_TRACEME
    "fileless-execution": lambda: os.execv(BUSYBOX, ["true"]),
    "outbound-connections": lambda: connect("127.0.0.1"),
    "reverse-shells": lambda: connect("127.0.0.1"),
    "container-escape": lambda: opened(PATTERN),
    "mounts": lambda: os.listdir("/mnt"),
    "ssh-and-pam": lambda: opened(KEYS),
    "package-manager": lambda: opened("/usr/bin/new"),
}
WANTED: dict[str, dict[str, Deed]] = {
    "sensitive-files": {
        "security_file_open": lambda: opened("/etc/shadow"),
        "security_inode_link": lambda: os.link("/etc/shadow", "/etc/other"),
        "security_inode_rename": renamed("/etc/gshadow"),
    },
    "privilege-escalation": {
        "__sys_setuid": lambda: becomes_root(True),
        "__sys_setreuid": lambda: os.setreuid(0, 0),
        "__sys_setresuid": lambda: os.setresuid(0, 0, 0),
        "__sys_setgid": lambda: os.setgid(0),
        "security_capset": raises_capability,
        "create_user_ns": user_namespace,
    },
    "kernel-modules": {
        "security_kernel_load_data": system_call(
            INIT_MODULE, ctypes.create_string_buffer(64), 64, b""
        ),
        "security_kernel_read_file": lambda: LIBC.syscall(
            FINIT_MODULE, os.open("/etc/hostname", os.O_RDONLY), b"", 0
        ),
        "sys_delete_module": system_call(DELETE_MODULE, b"nothing", 0),
    },
    "bpf-and-perf": {"bpf_check": lambda: bpf(True), "security_perf_event_alloc": perf_event},
    "process-memory": {
        "sys_ptrace": attaches,
        "sys_process_vm_readv": system_call(READV, 1, 0, 0, 0, 0, 0),
        "sys_process_vm_writev": system_call(WRITEV, 1, 0, 0, 0, 0, 0),
        "security_file_open": lambda: opened("/proc/self/mem"),
    },
    "fileless-execution": {
        "sys_memfd_create": lambda: os.memfd_create("hidden"),
        "security_bprm_check": runs_memory,
    },
    "outbound-connections": {"tcp_connect": lambda: connect("192.0.2.1")},
    "reverse-shells": {"tcp_connect": shell_connects, "inet_csk_listen_start": shell_listens},
    "container-escape": {
        "security_file_open": contained(lambda: opened(PATTERN)),
        "security_socket_connect": contained(asks_runtime),
        "security_sb_mount": contained(mount),
        "sys_setns": contained(lambda: LIBC.setns(-1, 0)),
        "sys_open_by_handle_at": contained(system_call(OPEN_BY_HANDLE_AT, -1, 0, 0)),
    },
    "mounts": {
        "security_sb_mount": contained(mount),
        "security_move_mount": contained(system_call(MOVE_MOUNT, -100, b"/mnt", -100, b"/tmp", 0)),
        "security_sb_umount": contained(unmount),
        "security_sb_pivotroot": contained(system_call(PIVOT_ROOT, b"/mnt", b"/mnt")),
        "sys_chroot": lambda: os.chroot("/"),
    },
    "ssh-and-pam": {
        "security_file_open": lambda: opened(KEYS, "ab"),
        "security_inode_rename": renamed("/etc/ld.so.preload"),
    },
    "package-manager": {
        "security_bprm_check": lambda: os.execv("/usr/bin/dpkg", ["true"]),
        "security_file_open": lambda: opened("/usr/bin/new", "ab"),
        "security_inode_rename": renamed("/usr/bin/newer"),
    },
}


def main() -> None:
    """All of them, one after the other."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
    for name, like in LIKE.items():
        for what, deed in {"like": like, **WANTED[name]}.items():
            pid = os.fork()
            if not pid:
                try:
                    deed()
                finally:
                    os._exit(0)
            os.waitpid(pid, 0)
            print(name, what, pid, flush=True)


if __name__ == "__main__":
    main()
