# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf remove`: a kernel out of the local store."""

from __future__ import annotations

import argparse

from tetrapy.btf.store import DIRECTORY, LocalStore, host_of
from tetrapy.cli.btf.known_kernels import matching
from tetrapy.errors import SettingsError
from tetrapy.visible import printable

DESCRIPTION = """\
Removes a kernel that `tetrapy btf add` put into the local store. The end of its name is enough.

  tetrapy btf remove 5.15.0-vendor1
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags and arguments."""
    parser.add_argument("key", metavar="KEY", help="ID/VERSION_ID/arch/<uname -r>, or its end")
    parser.add_argument(
        "--dir", metavar="DIR", default=DIRECTORY, help=f"the local store (default {DIRECTORY})"
    )


def run(options: argparse.Namespace) -> int:
    """Remove it; SettingsError unless the key names exactly one kernel."""
    store = LocalStore(options.dir)
    keys = matching(options.key, store.keys())
    if not keys:
        raise SettingsError(f"{printable(options.key)} is not in {store.directory}")
    if len(keys) > 1:
        raise SettingsError(f"{printable(options.key)} may be any of {', '.join(keys)}")
    print(f"removed {store.remove(host_of(keys[0]))}")
    return 0
