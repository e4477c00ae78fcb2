# SPDX-License-Identifier: Apache-2.0
"""May this process use BPF? And if not, what stands in the way."""

from __future__ import annotations

import os
import resource
from typing import Dict, Set

from tetrapy.errors import KernelError, NotPermittedError
from tetrapy.kernel.libbpf import error_text, last_errno, libbpf

_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}
_FILES = 64  # open files that are needed beside one a CPU
_MAX_FILES = 65536  # that are asked for
_MAP_ARRAY = 2
_EPERM, _EACCES, _ENOSYS = 1, 13, 38
_LOCKDOWN = "/sys/kernel/security/lockdown"
_PARANOID = "/proc/sys/kernel/perf_event_paranoid"
_PARANOID_FOR_ADMIN = 2  # the highest upstream; Debian and Ubuntu know 3 and 4 as well
_STATUS = "/proc/self/status"
_USER_NAMESPACE = "/proc/self/ns/user"
_INITIAL_USER_NAMESPACE = 0xEFFFFFFD  # PROC_USER_INIT_INO, include/linux/proc_ns.h


def lift_memory_lock_limit() -> None:
    """Kernels before 5.11 count BPF maps against RLIMIT_MEMLOCK, which is small by default."""
    try:
        resource.setrlimit(
            resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )
    except (ValueError, OSError):
        pass  # not permitted: the kernel will say whether it matters


def raise_open_files_limit() -> None:
    """Allow as many open files as policies may need, or as are permitted.

    BPF objects, buffers (one a CPU without a ring), the export and served connections need them; a
    hook of a policy has some 60 where links have no cookies (Linux before 5.15). Raises KernelError
    when there are too few.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # neither is ever infinite
    needed = _FILES + (os.cpu_count() or 1)
    # Linux gives 4096 at most unless somebody says otherwise; root may have more.
    for most in (_MAX_FILES, max(needed, min(hard, _MAX_FILES))):
        wanted = max(soft, most)
        if wanted == soft or _limit_open_files(wanted, max(hard, wanted)):
            return
    if hard < needed:
        raise KernelError(
            f"tetrapy may have {hard} files open and needs {needed}; raise the limit (ulimit -n"
            f" {needed}, LimitNOFILE= in a systemd unit, --ulimit nofile= for a container)"
        )


def _limit_open_files(soft: int, hard: int) -> bool:
    """Whether that is permitted."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    except (ValueError, OSError):
        return False
    return True


def check_bpf() -> None:
    """Look at the capabilities, then ask the kernel for the smallest map there is.

    A map alone proves nothing: where kernel.unprivileged_bpf_disabled is 0, anyone may make one.
    Raises NotPermittedError, which names the obstacle, or KernelError without bpf(2).
    """
    check_capabilities()
    fd = libbpf().bpf_map_create(_MAP_ARRAY, b"tetrapy_check", 4, 4, 1, None)
    if fd >= 0:
        os.close(fd)
        return
    errno = abs(fd) if fd < -1 else last_errno()
    raise denied(errno, "the bpf system call was refused")


def denied(errno: int, what: str) -> KernelError:
    """The error for a refused request; a NotPermittedError when an obstacle was found."""
    text = f"{what}: {error_text(errno)}"
    if errno in (_EPERM, _EACCES, _ENOSYS):
        try:
            check_capabilities(errno, text)
        except NotPermittedError as err:
            return err
        # Seccomp filters usually say EPERM.
        paranoid = _perf_event_paranoid() if errno == _EACCES else 0
        if paranoid > _PARANOID_FOR_ADMIN and not _held() & {"CAP_SYS_ADMIN"}:
            return NotPermittedError(
                f"{text}: kernel.perf_event_paranoid is {paranoid}, which can ask for more than"
                " CAP_PERFMON; give it CAP_SYS_ADMIN, or set it to"
                f" {_PARANOID_FOR_ADMIN} with sysctl",
                errno,
            )
        filtered = _status().get("Seccomp", "0")
        if filtered != "0":
            return NotPermittedError(
                f"{text}: a seccomp filter is in force (Seccomp: {filtered} in /proc/self/status); "
                "allow bpf and perf_event_open in the container's profile, or run it with "
                "--security-opt seccomp=unconfined",
                errno,
            )
    if errno == _ENOSYS:
        return KernelError(
            f"{text}: this kernel was built without it (CONFIG_BPF_SYSCALL); boot one that has it",
            errno,
        )
    # The verifier says EINVAL: to it, a helper that lockdown forbids does not exist.
    if _locked_down():
        return NotPermittedError(
            f"{text}: the kernel is locked down ([confidentiality] in {_LOCKDOWN}), which forbids "
            "BPF programs to read kernel memory; boot with lockdown=integrity or less",
            errno,
        )
    if errno not in (_EPERM, _EACCES):
        return KernelError(text, errno)
    if _in_user_namespace():
        return NotPermittedError(
            f"{text}: this is a user namespace, whose capabilities do not count for bpf; run "
            "tetrapy outside of it (not rootless, without user namespaces of a container engine)",
            errno,
        )
    return NotPermittedError(
        f"{text}: every capability that is needed is held and no seccomp filter is in force; a "
        "security module may forbid it, see the kernel log (dmesg)",
        errno,
    )


def check_capabilities(errno: int = 0, text: str = "") -> None:
    """Raise NotPermittedError when a capability for BPF is missing; `text` tells what failed."""
    held = _held()
    if "CAP_SYS_ADMIN" in held or {"CAP_BPF", "CAP_PERFMON"} <= held:
        return
    uid = os.geteuid()
    if uid:
        raise NotPermittedError(
            f"tetrapy needs root: it runs as user {uid}; start it with sudo, or give it CAP_BPF "
            f"and CAP_PERFMON (held: {', '.join(sorted(held)) or 'neither'})",
            errno,
        )
    raise NotPermittedError(
        (f"{text}: " if text else "")
        + "root lacks the capability CAP_SYS_ADMIN (or CAP_BPF and CAP_PERFMON), held: "
        f"{', '.join(sorted(held)) or 'none of them'}; a container needs --privileged or "
        "--cap-add for them",
        errno,
    )


def _held() -> Set[str]:
    capabilities = int(_status().get("CapEff", "0"), 16)
    return {name for name, bit in _CAPABILITIES.items() if capabilities & (1 << bit)}


def _perf_event_paranoid() -> int:
    try:
        with open(_PARANOID, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def check_procfs() -> None:
    """Raise KernelError where /proc does not show this process, as after an unmount.

    Libraries and BTF get to where they are used through it, whatever `--procfs` says.
    """
    _status()


def _status() -> Dict[str, str]:
    try:
        with open(_STATUS, encoding="utf-8", errors="replace") as file:
            lines = list(file)
    except OSError as err:
        raise KernelError(
            f"/proc does not show this process ({_STATUS}: {err.strerror}); mount the procfs of its"
            " pid namespace there (mount -t proc proc /proc)",
            err.errno or 0,
        ) from err
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _in_user_namespace() -> bool:
    try:
        return os.stat(_USER_NAMESPACE).st_ino != _INITIAL_USER_NAMESPACE
    except OSError:
        return False


def _locked_down() -> bool:
    try:
        with open(_LOCKDOWN, encoding="ascii") as file:
            return "[confidentiality]" in file.read()
    except OSError:
        return False
