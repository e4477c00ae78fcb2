# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: processes that have what only some settings tell, each made for one case.

Structures that hold it differ between kernels: credentials, namespaces, inodes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
from typing import Any

from tests.vm import situations

VICTIM = "/test/victim"
PLACE = "/test/details"  # a file system that has extended attributes
USER = 1234

NAMESPACES = "uts ipc mnt pid pid_for_children net time time_for_children cgroup user".split()
_FLAGS = {  # include/uapi/linux/sched.h
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "mnt": 0x00020000,
    "net": 0x40000000,
    "cgroup": 0x02000000,
    "user": 0x10000000,
}
_CAP_NET_RAW = 13

# What a process does before it executes the victim.
_UNSHARE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(int(sys.argv[1])):
    sys.exit("unshare: " + os.strerror(ctypes.get_errno()))
names = [name for name in sys.argv[2].split() if os.path.exists("/proc/self/ns/" + name)]
told = ["%s=%d" % (name, os.stat("/proc/self/ns/" + name).st_ino) for name in names]
os.execv("{victim}", ["{victim}", "exit", "0", *told])
"""
_MEMFD = """
import os
fd = os.memfd_create("victim")
os.write(fd, open("{victim}", "rb").read())
os.execve(fd, ["victim", "exit", "0", str(os.fstat(fd).st_ino)], os.environ)
"""
_DELETED = """
import os, shutil
shutil.copy("{victim}", "{place}/deleted")
fd = os.open("{place}/deleted", os.O_PATH)
os.unlink("{place}/deleted")
os.execve(fd, ["victim", "exit", "0", str(os.fstat(fd).st_ino)], os.environ)
"""


def _python(code: str, *arguments: str) -> list[str]:
    code = code.replace("{victim}", VICTIM).replace("{place}", PLACE)
    return ["/usr/bin/python3", "-c", code, *arguments]


def _copy(name: str, mode: int, owner: int = 0, group: int = 0) -> str:
    path = f"{PLACE}/{name}"
    shutil.copy(VICTIM, path)
    os.chown(path, owner, group)
    os.chmod(path, mode)
    return path


def _with_capability() -> str:
    """A victim whose file has CAP_NET_RAW: struct vfs_cap_data, revision 2, effective."""
    path = _copy("capable", 0o755)
    value = struct.pack("<IIIII", 0x02000001, 1 << _CAP_NET_RAW, 0, 0, 0)
    os.setxattr(path, "security.capability", value)
    return path


def _run(argv: list[str], **options: Any) -> dict[str, int]:
    process = subprocess.Popen(argv, cwd="/test/directory", **options)
    return {"pid": process.pid, "code": process.wait()}


def run() -> dict[str, dict[str, int]]:
    """Run each to its end: its pid and return code."""
    user = {"user": USER, "group": USER, "extra_groups": []}
    os.mkdir(PLACE)
    with contextlib.ExitStack() as around:
        around.callback(os.rmdir, PLACE)
        situations.mount("tmpfs", PLACE)
        around.callback(situations.unmount, PLACE)
        fates = {
            "plain": _run([VICTIM, "exit", "0"], **user),
            "root": _run([VICTIM, "exit", "0"]),
            "setuid": _run([_copy("setuid", 0o4755), "exit", "0"], **user),
            "setgid": _run([_copy("setgid", 0o2755, group=4343), "exit", "0"], **user),
            "capable": _run([_with_capability(), "exit", "0"], **user),
            "memfd": _run(_python(_MEMFD)),
            "deleted": _run(_python(_DELETED)),
            "environment": _run([VICTIM, "exit", "0"], env={"A": "1", "B": "x=y", "C": ""}),
        }
        for name, flag in _FLAGS.items():
            fates[f"ns_{name}"] = _run(_python(_UNSHARE, str(flag), " ".join(NAMESPACES)))
    return fates
