# SPDX-License-Identifier: Apache-2.0
"""One setting: what a row of the table says."""

from __future__ import annotations

from typing import Any, Tuple

from tetrapy.named import NamedTuple

# Kinds. `settings.<name>` holds what stands behind each.
STRING = "string"  # str
FILE = "file"  # str, a path
DIRECTORY = "directory"  # str, a path
ADDRESS = "address"  # str that config.address.Address parses, or empty
LINES = "lines"  # str of several lines: filters in JSON, one a line
BOOL = "bool"  # bool
INT = "int"  # int of 64 bits
UINT = "uint"  # the same, from 0
SIZE = "size"  # int, bytes; written with K, M or G, powers of 1024
DURATION = "duration"  # int, nanoseconds; written as Go writes it: 1h30m, 15s, 100ms
LIST = "list"  # tuple of str; written with commas or white space between
FILES = "files"  # tuple of str, paths; written one a line, as a path may hold anything else
MODE = "mode"  # int, permission bits; written in octal
CGROUP_RATE = (
    "cgroup-rate"  # config.cgroup_rate.CgroupRate or None; written as events,interval: 1000,1s
)

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


class Setting(NamedTuple):
    """One row: the flag is `--name`, the variable `TETRAPY_NAME`, the drop-in file `name`."""

    name: str
    kind: str
    default: Any
    help: str
    short: str = ""
    # What may be chosen, in any case; of a LIST each element.
    choices: Tuple[str, ...] = ()
    # Other names for it, of older or mistaken documents.
    aliases: Tuple[str, ...] = ()
    # Completes "has no effect": "yet: ..." for what comes later, "here: ..." for what never will.
    no_effect: str = ""
    # Not Tetragon's.
    own: bool = False

    @property
    def variable(self) -> str:
        """The environment variable."""
        return variable(self.name)


# Settings that are described together, with a title.
Topic = Tuple[str, Tuple[Setting, ...]]


def variable(name: str) -> str:
    """The environment variable of a setting's name."""
    return "TETRAPY_" + name.upper().replace("-", "_")
