# SPDX-License-Identifier: Apache-2.0
"""Which capabilities an agent keeps when its sensor is attached; docs/privileges.md has why."""

from __future__ import annotations

import os
import stat
from typing import List, Tuple

from tetrapy.config.settings import Settings
from tetrapy.host_files import host_path, host_root
from tetrapy.kernel import capabilities

_FIRST_FREE_PORT = 1024

# What loading and attaching programs takes on every kernel, and reading what they are made for.
_LOADING = (
    "CAP_BPF",
    "CAP_PERFMON",
    "CAP_SYS_ADMIN",
    "CAP_SYS_RESOURCE",
    "CAP_SYSLOG",
    "CAP_DAC_READ_SEARCH",
)


def reserve(settings: Settings, sensor: str) -> Tuple[str, ...]:
    """Names of those that are in effect only while a policy is loaded."""
    return _LOADING if settings.load_policies_at_run_time and sensor != "connector" else ()


def needed(settings: Settings, sensor: str) -> List[str]:
    """Names of the capabilities that an agent with this sensor goes on needing."""
    # Program and directory of other users' processes.
    names = ["CAP_SYS_PTRACE"]
    if sensor == "connector":
        names.append("CAP_NET_ADMIN")
    else:
        # Kernels before 5.19 let nobody else read the maps where unprivileged BPF is off, and
        # those before 5.8 know one capability for everything.
        held = capabilities.held().effective >> capabilities.NUMBERS["CAP_BPF"] & 1
        names.append("CAP_BPF" if held else "CAP_SYS_ADMIN")
    if any(map(_is_low, (settings.metrics_server, settings.healthz_address))):
        names.append("CAP_NET_BIND_SERVICE")
    if not _is_own_place(settings.export_filename):
        names += ["CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER"]
    if settings.enable_container_names:
        root = host_root(settings.procfs)
        if any(_is_others(root, path) for path in settings.container_directories):
            names.append("CAP_DAC_READ_SEARCH")
        if any(_is_others(root, path) for path in settings.container_sockets):
            names.append("CAP_DAC_OVERRIDE")
    return names


def _is_low(address: str) -> bool:
    if not address:
        return False
    # Imported late: it takes longer than all else here, and most agents serve nothing.
    from tetrapy.config.address import Address

    return 0 < Address.parse(address).port < _FIRST_FREE_PORT


def _is_others(root: str, path: str) -> bool:
    """Whether it is another user's, or will be: as far as there is something on the way to it."""
    while path:
        try:
            return os.stat(host_path(root, path)).st_uid != os.geteuid()
        except OSError:
            above = os.path.dirname(path)
            path = above if above != path else ""
    return False


def _is_own_place(name: str) -> bool:
    """Whether the export file and its directory are this user's, so that rotation needs no rights.

    A target that is no file needs none at all.
    """
    if name in {"", "-"}:
        return True
    try:
        path = os.path.realpath(name)
        file, directory = os.stat(path), os.stat(os.path.dirname(path))
    except OSError:
        return False
    if not stat.S_ISREG(file.st_mode):
        return True
    ours = (os.geteuid(), os.getegid())
    return (file.st_uid, file.st_gid) == ours and directory.st_uid == ours[0]
