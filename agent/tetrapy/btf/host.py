# SPDX-License-Identifier: Apache-2.0
"""What identifies the running kernel: distribution, its version, architecture, release.

The four are the path of a kernel in BTFHub's layout, `ID/VERSION_ID/arch/<uname -r>`.
"""

from __future__ import annotations

import os
from typing import Dict

from tetrapy.host_files import host_path
from tetrapy.named import NamedTuple

# BTFHub's names of the architectures, by what uname calls them.
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}

# os-release(5): the second is used only if the first does not exist.
_PLACES = ("/etc/os-release", "/usr/lib/os-release")
_MAX_SIZE = 64 * 1024

# TAINT_RANDSTRUCT (include/linux/panic.h), a bit of /proc/sys/kernel/tainted.
_TAINT_RANDSTRUCT = 1 << 17


class Host(NamedTuple):
    """One kernel; `version_id` is empty where os-release has none, as on rolling releases."""

    id: str
    version_id: str
    arch: str
    release: str

    def __str__(self) -> str:
        return "/".join(self)


def current(root: str = "") -> Host:
    """The running kernel, with the os-release of the system whose root directory is given.

    For an agent in a container that sees the host's processes, that is the host's (`host_root`).
    """
    uname = os.uname()
    values = read_os_release(root)
    arch = ARCHITECTURES.get(uname.machine, uname.machine)
    # os-release(5): ID is "linux" where it is not set.
    return Host(values.get("ID", "linux"), values.get("VERSION_ID", ""), arch, uname.release)


def read_os_release(root: str = "") -> Dict[str, str]:
    """The variables of a system's os-release file; none if it has no readable one."""
    for place in _PLACES:
        try:
            with open(host_path(root, place), "rb") as file:
                return parse_os_release(file.read(_MAX_SIZE).decode("utf-8", "surrogateescape"))
        except OSError:
            continue
    return {}


def parse_os_release(text: str) -> Dict[str, str]:
    """The variables of the text of an os-release file.

    os-release(5): lines of NAME=value; empty lines and lines that start with "#" are ignored; a
    value may be quoted as in a shell, without expansion and without joining several strings.
    """
    values = {}
    for line in text[text.startswith("\ufeff") :].splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            values[name] = _unquote(value)
    return values


def _unquote(value: str) -> str:
    quote = value[:1]
    if quote == "'":
        return value[1:].partition("'")[0]
    if quote == '"':
        value = value[1:]
    result = []
    at = 0
    while at < len(value):
        letter = value[at]
        if letter == quote == '"':
            break
        following = value[at + 1 : at + 2]
        # Inside double quotes a backslash escapes only these; elsewhere it escapes anything.
        if letter == "\\" and following and (quote != '"' or following in '$"\\`'):
            at += 1
            letter = following
        result.append(letter)
        at += 1
    return "".join(result)


def shuffles_structures(root: str = "/") -> bool:
    """Whether the running kernel was built with RANDSTRUCT, by which it taints itself."""
    try:
        with open(os.path.join(root, "proc/sys/kernel/tainted"), "rb") as file:
            return bool(int(file.read(_MAX_SIZE)) & _TAINT_RANDSTRUCT)
    except (OSError, ValueError):
        return False
