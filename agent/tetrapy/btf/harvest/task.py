# SPDX-License-Identifier: Apache-2.0
"""What a worker does with one input: everything but putting the result in its place."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import List

from tetrapy.btf import host as this_host
from tetrapy.btf.harvest import host, verify
from tetrapy.btf.harvest.extract import extract
from tetrapy.btf.harvest.identity import identify
from tetrapy.btf.harvest.journal import stamp_of
from tetrapy.btf.harvest.options import Options, Unpackers
from tetrapy.named import NamedTuple

BTF = "btf"
MODULES = "modules"
# Reading an input gives none of these: it is the output that cannot be written.
NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS))


class NoRoom(NamedTuple):
    """Nothing was made, and nothing will be of other inputs: the output cannot be written to."""

    reason: str


class Made(NamedTuple):
    """A verified BTF of `size` bytes, in the scratch directory as `btf`.

    `key`: ID/VERSION_ID/arch/<uname -r>; `digest`: SHA-256 in hex; `modules`: the scratch directory
    has a directory `modules` of <name>.btf as well; `stamp`: of the input before it was read.
    """

    key: str
    size: int
    digest: str
    notes: List[str]
    modules: bool
    stamp: List[int]


def make(path: str, scratch: str, options: Options, unpackers: Unpackers) -> Made:
    """Read one input; leaves its BTF in the directory `scratch`, which is empty.

    FormatError and its kin: what is wrong with the input; OSError.
    """
    stamp = stamp_of(path)
    found = extract(path, scratch, options, unpackers)
    checked = verify.check(found.btf)
    evidence = found.evidence._replace(btf_arch=checked.arch)
    running = host.is_host(path, options.root)
    if running:
        evidence = evidence._replace(host=this_host.current(options.root))
    kernel, notes = identify(evidence, options)
    if found.note:
        notes.append(found.note)
    elif checked.minimized:
        notes.append("it is a minimized BTF: good only for the programs it was made for")
    _write(os.path.join(scratch, BTF), found.btf)
    with_modules = running and options.modules
    if with_modules:
        directory = os.path.join(scratch, MODULES)
        os.mkdir(directory)
        for name, data in host.modules(options.root, found.btf):
            _write(os.path.join(directory, f"{name}.btf"), data)
    digest = hashlib.sha256(found.btf).hexdigest()
    return Made(str(kernel), len(found.btf), digest, notes, with_modules, stamp)


def _write(path: str, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
