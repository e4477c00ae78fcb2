"""May this process use BPF? And if not, what stands in the way."""

from __future__ import annotations

import os
import resource
from typing import Dict

from tetrapy.errors import KernelError, NotPermittedError
from tetrapy.kernel.libbpf import error_text, last_errno, libbpf

_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}
_MAP_ARRAY = 2
_EPERM, _ENOSYS = 1, 38
_LOCKDOWN = "/sys/kernel/security/lockdown"


def lift_memory_lock_limit() -> None:
    """Kernels before 5.11 count BPF maps against RLIMIT_MEMLOCK, which is small by default."""
    try:
        resource.setrlimit(
            resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )
    except (ValueError, OSError):
        pass  # not permitted: the kernel will say whether it matters


def check_bpf() -> None:
    """Ask the kernel for the smallest map there is.

    Raises NotPermittedError, which names the obstacle, or KernelError without bpf(2).
    """
    fd = libbpf().bpf_map_create(_MAP_ARRAY, b"tetrapy_check", 4, 4, 1, None)
    if fd >= 0:
        os.close(fd)
        return
    errno = abs(fd) if fd < -1 else last_errno()
    if errno == _ENOSYS:
        raise KernelError(
            "this kernel has no bpf system call (ENOSYS): it was built without "
            "CONFIG_BPF_SYSCALL; boot a kernel that has it",
            errno,
        )
    raise denied(errno, "the bpf system call was refused")


def denied(errno: int, what: str) -> KernelError:
    """The error for a refused BPF request, with the obstacle that was found."""
    status = _status()
    capabilities = int(status.get("CapEff", "0"), 16)
    held = {name for name, bit in _CAPABILITIES.items() if capabilities & (1 << bit)}
    text = f"{what}: {error_text(errno)}"
    if errno != _EPERM:
        return KernelError(text, errno)
    if "CAP_SYS_ADMIN" not in held and not {"CAP_BPF", "CAP_PERFMON"} <= held:
        uid = os.geteuid()
        if uid:
            return NotPermittedError(
                f"tetrapy needs root: it runs as user {uid}; start it with sudo, or give it "
                f"CAP_BPF and CAP_PERFMON (held: {', '.join(sorted(held)) or 'neither'})",
                errno,
            )
        return NotPermittedError(
            f"{text}: root lacks the capability CAP_SYS_ADMIN (or CAP_BPF and CAP_PERFMON), held: "
            f"{', '.join(sorted(held)) or 'none of them'}; a container needs --privileged or "
            "--cap-add for them",
            errno,
        )
    if status.get("Seccomp", "0") != "0":
        return NotPermittedError(
            f"{text}: a seccomp filter is in force (Seccomp: {status['Seccomp']} in "
            "/proc/self/status); allow bpf and perf_event_open in the container's profile, or "
            "run it with --security-opt seccomp=unconfined",
            errno,
        )
    if _locked_down():
        return NotPermittedError(
            f"{text}: the kernel is locked down ([confidentiality] in {_LOCKDOWN}), which forbids "
            "BPF programs to read kernel memory; boot with lockdown=integrity or less",
            errno,
        )
    return NotPermittedError(
        f"{text}: root holds every capability that is needed and no seccomp filter is in force; "
        "a security module may forbid it, see the kernel log (dmesg)",
        errno,
    )


def _status() -> Dict[str, str]:
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def _locked_down() -> bool:
    try:
        with open(_LOCKDOWN, encoding="ascii") as file:
            return "[confidentiality]" in file.read()
    except OSError:
        return False
