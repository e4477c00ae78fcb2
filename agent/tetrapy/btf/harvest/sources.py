# SPDX-License-Identifier: Apache-2.0
"""The files that a harvest looks at, out of what the operator named.

A file that is named is always looked at.  Of a directory, those files are whose name is that of a
kernel, package or BTF, and those whose first bytes tell so beyond doubt.
"""

from __future__ import annotations

import os
import re
from typing import Dict, Iterator, List, Sequence

from tetrapy.btf.harvest import extract, host, images, limits
from tetrapy.btf.harvest.result import reason
from tetrapy.errors import FormatError, HarvestError
from tetrapy.named import NamedTuple

_LISTS = (".list", ".txt")
_NAME = re.compile(
    r".*\.(?:deb|ddeb|rpm)|.*\.btf(?:\.tar)?(?:\.(?:gz|bz2|xz|zst))?"
    r"|(?:.*[-_.])?vmlinux(?:[-_.].*)?\.h(?:\.(?:gz|bz2|xz|zst))?"
    r"|.*\.json(?:\.(?:gz|bz2|xz|zst))?"
    r"|(?:vmlinu[xz]|[zb]?Image)(?:-.*|\.(?:gz|bz2|xz|lzma|lzo|lz4|zst|debug))?",
    re.DOTALL,  # a name may have a newline in it
)
# What a harvest of this host leaves beside a kernel's BTF; of no use without it.
_MODULES = ".modules"


class Source(NamedTuple):
    """A file to look at. `named`: by the operator, who expects a kernel in it.

    `error`: it cannot be looked at, and why.
    """

    path: str
    named: bool
    error: str = ""


def expand(inputs: Sequence[str], output: str, root: str) -> List[Source]:
    """The files in the order of the inputs, each once; the output directory is left out.

    A link is a file of its own: in BTFHub's layout its path names another kernel.  `root`: where
    this host's /sys is.  HarvestError: a list cannot be read.
    """
    found: Dict[str, Source] = {}
    for path in _listed(inputs):
        if host.is_host(os.path.join(path, host.KERNEL), root):
            sources = iter([Source(os.path.join(path, host.KERNEL), named=True)])
        elif os.path.isdir(path):
            sources = _below(path, os.path.realpath(output))
        else:
            sources = iter([Source(path, named=True)])
        for source in sources:
            found.setdefault(os.path.abspath(source.path), source)
    return list(found.values())


def _listed(inputs: Sequence[str]) -> Iterator[str]:
    for name in inputs:
        if name.startswith("@"):
            yield from _read_list(name[1:])
        elif name.endswith(_LISTS) and os.path.isfile(name):
            yield from _read_list(name)
        else:
            yield name


def _read_list(path: str) -> Iterator[str]:
    """One input a line; relative ones are below the list's directory, "#" starts a comment."""
    try:
        with extract.open_regular(path) as file:
            data = file.read(limits.LIST + 1)
    except (OSError, FormatError) as err:
        raise HarvestError(f"the list of inputs {path} cannot be read: {reason(err)}") from err
    if len(data) > limits.LIST:
        raise HarvestError(f"the list of inputs {path} has more than {limits.LIST >> 20} MiB")
    if b"\0" in data:
        raise HarvestError(f"the list of inputs {path} is no text")
    for line in os.fsdecode(data).splitlines():
        name = line.strip()
        if name and not name.startswith("#"):
            yield os.path.join(os.path.dirname(path), name)


def _below(directory: str, output: str) -> Iterator[Source]:
    errors: List[OSError] = []
    for place, directories, names in os.walk(directory, onerror=errors.append):
        directories[:] = sorted(
            name
            for name in directories
            if not name.startswith(".")
            and not name.endswith(_MODULES)
            and os.path.realpath(os.path.join(place, name)) != output
        )
        for name in sorted(names):
            path = os.path.join(place, name)
            if os.path.isfile(path) and (_NAME.fullmatch(name) or _is_input(path)):
                yield Source(path, named=False)
    for error in errors:
        yield Source(error.filename, named=True, error=reason(error))


def _is_input(path: str) -> bool:
    try:
        with extract.open_regular(path) as file:
            head = file.read(images.HEAD_SIZE)
    except (OSError, FormatError):
        # Under a name that means nothing here: no loss.
        return False
    return extract.kind_of(head) in (extract.DEB, extract.RPM) or images.is_kernel(head)
