# SPDX-License-Identifier: Apache-2.0
"""Functions of programs and libraries that a policy hooks, on this machine."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Iterator, List, Optional, Tuple

from tetrapy.abi.elf import EM_AARCH64, EM_X86_64, FileBytes
from tetrapy.abi.executable import Executable
from tetrapy.errors import ElfError, PolicyUnsupportedError
from tetrapy.kernel import features
from tetrapy.policy.places import digest, symbol_and_offset
from tetrapy.policy.types import Uprobe
from tetrapy.sensors.policy.hook import UPROBE
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.plan import Machine, PlaceError, Plan, Site

_MACHINES = {"x86_64": EM_X86_64, "aarch64": EM_AARCH64}
_PIECE = 1 << 20
_PMU = "/sys/bus/event_source/devices/uprobe"


def plan(hook: Uprobe, machine: Machine) -> Plan:
    """Where it is. Raises PlaceError, PolicyUnsupportedError."""
    if not features.KPROBES.is_there or not os.path.exists(_PMU):
        raise PlaceError(
            "this kernel has no uprobes (it was built without CONFIG_UPROBE_EVENTS), or /sys is not"
            f" mounted: there is no {_PMU}"
        )
    if hook.btf_path:
        raise PolicyUnsupportedError("btfPath")
    try:
        # Opening a FIFO must not wait for somebody who writes.
        fd = os.open(hook.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as err:
        what = err.strerror if isinstance(err, OSError) else str(err)
        raise PlaceError(f"{hook.path}: {what}") from err
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise PlaceError(f"{hook.path} is no regular file")
        sites = tuple(_sites(hook, fd, machine))
        left_out = _check_digests(hook, fd)
    finally:
        os.close(fd)
    return Plan(
        UPROBE,
        () if left_out else sites,
        hook,
        hook.args,
        hook.data,
        hook.return_arg if hook.returns else None,
        left_out=left_out,
    )


def _sites(hook: Uprobe, fd: int, machine: Machine) -> Iterator[Site]:
    try:
        executable = Executable(FileBytes(fd))
        offsets = list(_offsets(hook, executable))
    except ElfError as err:
        raise PlaceError(f"{hook.path}: {err}") from err
    if executable.machine != _MACHINES[machine.machine]:
        raise PlaceError(f"{hook.path}: it is for another machine than {machine.machine}")
    counters = hook.ref_ctr_offsets
    for number, (offset, symbol) in enumerate(offsets):
        place = Place(
            UPROBE,
            (hook.path,),
            0,
            offset=offset,
            reference_counter=counters[number] if number < len(counters) else 0,
        )
        yield Site(place, (hook.path, symbol), None if symbol else offset)


def _offsets(hook: Uprobe, executable: Executable) -> Iterator[Tuple[int, str]]:
    for text in hook.symbols:
        name, more = symbol_and_offset(text)
        yield executable.offset_of_symbol(name) + more, text
    for offset in hook.offsets:
        yield offset, ""
    for address in hook.addrs:
        yield executable.offset_of_address(address), ""


def _check_digests(hook: Uprobe, fd: int) -> Tuple[str, ...]:
    """Why the hook is left out; empty where the file is one that it is for. Raises PlaceError."""
    if not hook.binary_digests:
        return ()
    found: List[str] = []
    for text in hook.binary_digests:
        algorithm, wanted = digest(text)
        if algorithm == "build-id":
            has: Optional[str] = _build_id(fd)
        else:
            has = _hash(fd, algorithm)
        if has == wanted:
            return ()
        found.append(f"{algorithm}:{has or 'none'}")
    what = f"{hook.path} is another file than those of binaryDigests: it has {', '.join(found)}"
    if hook.ignore is not None and hook.ignore.digest_verification_failure:
        return (what,)
    raise PlaceError(what)


def _hash(fd: int, algorithm: str) -> str:
    made = hashlib.new(algorithm)
    at = 0
    while True:
        piece = os.pread(fd, _PIECE, at)
        if not piece:
            return made.hexdigest()
        made.update(piece)
        at += len(piece)


def _build_id(fd: int) -> Optional[str]:
    return Executable(FileBytes(fd)).build_id()
