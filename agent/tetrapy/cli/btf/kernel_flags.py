# SPDX-License-Identifier: Apache-2.0
"""Which kernel a command is about: the running one, or one that flags describe."""

from __future__ import annotations

import argparse
import os

from tetrapy.btf import host as hosts
from tetrapy.btf.host import ARCHITECTURES, Host
from tetrapy.config import sources
from tetrapy.errors import SettingsError
from tetrapy.host_files import host_root
from tetrapy.visible import printable

# os-release files have a few hundred bytes.
_MAX_OS_RELEASE = 64 << 10


def add_os_release_flag(parser: argparse.ArgumentParser) -> None:
    """The flag that names another system's os-release."""
    parser.add_argument(
        "--os-release", default="", metavar="FILE", help="take ID and VERSION_ID from this file"
    )


def this_host() -> Host:
    """The running kernel as the agent names it: with the host's os-release, in a container too."""
    procfs = sources.read([], os.environ).procfs
    return hosts.current(host_root(procfs))


def named_host(options: argparse.Namespace) -> Host:
    """The running kernel, with what `--os-release`, `--arch` and `--release` say instead."""
    host = this_host()
    if options.os_release:
        with open(options.os_release, "rb") as file:
            text = file.read(_MAX_OS_RELEASE).decode("utf-8", "surrogateescape")
        values = hosts.parse_os_release(text)
        version_id = values.get("VERSION_ID", "")
        host = host._replace(id=values.get("ID", "linux"), version_id=version_id)
    if options.arch:
        host = host._replace(arch=architecture(options.arch))
    return host._replace(release=options.release or host.release)


def architecture(text: str) -> str:
    """An architecture as keys have it; SettingsError for one that is not supported."""
    if text not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise SettingsError(f"architecture {printable(text)} is not supported; one of {known} is")
    return ARCHITECTURES[text]
