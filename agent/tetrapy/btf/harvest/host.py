# SPDX-License-Identifier: Apache-2.0
"""This host: the BTF that the running kernel and its modules have in sysfs."""

from __future__ import annotations

import os
from typing import Iterator, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.btf.harvest import limits, verify
from tetrapy.btf.harvest.extract import open_regular
from tetrapy.btf.harvest.identity import is_part
from tetrapy.errors import FormatError

_DIRECTORY = "sys/kernel/btf"
KERNEL = "vmlinux"


def is_host(path: str, root: str) -> bool:
    """Whether a path is that of the running kernel's own BTF."""
    return os.path.abspath(path) == os.path.abspath(os.path.join(root, _DIRECTORY, KERNEL))


def modules(root: str, kernel: bytes) -> Iterator[Tuple[str, bytes]]:
    """Names and split BTFs of the modules that are loaded, sorted by name, each verified.

    FormatError: one is damaged, or has a name that cannot be a file's; OSError.
    """
    base = Btf(kernel)
    directory = os.path.join(root, _DIRECTORY)
    for name in sorted(os.listdir(directory)):
        if name == KERNEL:
            continue
        if not is_part(name):
            raise FormatError(f"{directory} has a module of the odd name {name!r}")
        with open_regular(os.path.join(directory, name)) as file:
            data = file.read(limits.BTF + 1)
        try:
            verify.check_module(data, base)
        except FormatError as err:
            raise FormatError(f"module {name}: {err}") from err
        yield name, data
