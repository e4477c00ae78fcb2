# SPDX-License-Identifier: Apache-2.0
"""The BPF file system: what is pinned there stays in the kernel when nobody has it open."""

from __future__ import annotations

import os
import stat

from tetrapy.errors import KernelError
from tetrapy.kernel.libbpf import error_text, last_errno, libbpf

MOUNT = "/sys/fs/bpf"

_MOUNTS = "/proc/self/mountinfo"


def pin(fd: int, path: str) -> None:
    """Have a map, program or link stay as long as there is `path`. Raises KernelError.

    Links of perf events (kprobes, uprobes, tracepoints) can be pinned since Linux 5.15.
    """
    if libbpf().bpf_obj_pin(fd, os.fsencode(path)):
        errno = last_errno()
        raise KernelError(f"{path}: not pinned: {error_text(errno)}", errno)


def make_private(path: str) -> None:
    """A directory that only this user may look into; one that is there must be this user's.

    The file system's own directory may be open to all users. Raises KernelError.
    """
    try:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            found = os.lstat(path)
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                raise KernelError(
                    f"{path} is not a directory of user {os.geteuid()}: somebody else made it;"
                    " remove it"
                ) from None
            os.chmod(path, 0o700)
    except OSError as err:
        advice = "" if _is_mounted() else f"; mount the BPF file system: mount -t bpf bpf {MOUNT}"
        raise KernelError(f"{path}: {err.strerror}{advice}", err.errno or 0) from err


def remove(path: str) -> None:
    """Take a directory with all in it away, if it is there. Raises KernelError."""
    try:
        for one in list(os.scandir(path)):
            if one.is_dir(follow_symlinks=False):
                remove(one.path)
            else:
                os.unlink(one.path)
        os.rmdir(path)
    except FileNotFoundError:
        return
    except OSError as err:
        raise KernelError(f"{path}: not removed: {err.strerror}", err.errno or 0) from err


def _is_mounted() -> bool:
    try:
        with open(_MOUNTS, encoding="utf-8", errors="replace") as file:
            return any(f" {MOUNT} " in line and " - bpf " in line for line in file)
    except OSError:
        return True  # nobody knows
