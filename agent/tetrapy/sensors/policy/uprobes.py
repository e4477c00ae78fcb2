# SPDX-License-Identifier: Apache-2.0
"""Functions of programs and libraries that a policy hooks, on this machine."""

from __future__ import annotations

import contextlib
import os
import stat
from functools import partial
from typing import Callable, Iterator, List, Optional, Sequence, Tuple, Union

from tetrapy.abi.btf import Btf
from tetrapy.abi.elf import EM_AARCH64, EM_X86_64, FileBytes, section_data
from tetrapy.abi.executable import Executable
from tetrapy.errors import BtfError, ElfError, PolicyUnsupportedError
from tetrapy.kernel import features
from tetrapy.policy.macros import effective
from tetrapy.policy.places import digest, symbol_and_offset
from tetrapy.policy.types import Action, Selector, Uprobe, Usdt
from tetrapy.sensors.policy.actions import overrides
from tetrapy.sensors.policy.assignments import assignments, expect_changes
from tetrapy.sensors.policy.hook import UPROBE
from tetrapy.sensors.policy.member_path import KernelTypes
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.plan import Machine, PlaceError, Plan, Site

_MACHINES = {"x86_64": EM_X86_64, "aarch64": EM_AARCH64}
_PIECE = 1 << 20
MAX_BTF = 64 << 20
"""Bytes of a file with a program's BTF."""
MAX_HASHED = 2 << 30
"""Bytes of a file whose digest is compared."""
MAX_CHANGING = 64
"""Places of a hook at which registers are changed in different ways."""
_PMU = "/sys/bus/event_source/devices/uprobe"


def plan(hook: Uprobe, machine: Machine) -> Plan:
    """Where it is. Raises PlaceError, PolicyUnsupportedError."""
    expect_uprobes()
    selectors = effective(hook.selectors, machine.spec.selectors_macros)
    changes = bool(overrides(selectors))
    if changes:
        expect_changes(returns=hook.returns)
    with opened(hook.path) as fd:
        left_out = _check_digests(hook, fd)
        sites = () if left_out else tuple(_sites(hook, fd, machine, selectors if changes else ()))
    if len({site.place.assignments for site in sites}) > MAX_CHANGING:
        raise PolicyUnsupportedError(
            f"Override that goes on elsewhere, of more than {MAX_CHANGING} places: a program is"
            " loaded for each"
        )
    return Plan(
        UPROBE,
        sites,
        hook,
        hook.args,
        hook.data,
        hook.return_arg if hook.returns else None,
        left_out=left_out,
        types=program_types(hook),
        can_override=changes,
        overrides_later=changes,
    )


def program_types(hook: Union[Uprobe, Usdt]) -> Callable[[], KernelTypes]:
    """What gives the types of the hook's program, when a member of an argument is asked for."""

    def types() -> KernelTypes:
        path = hook.btf_path
        if not path:
            raise PolicyUnsupportedError(
                "args: resolve needs btfPath, a file with the program's BTF, and btfType"
            )
        with opened(path) as fd:
            data = os.pread(fd, MAX_BTF + 1, 0)
        if len(data) > MAX_BTF:
            raise PlaceError(f"{path} has more than {MAX_BTF} bytes")
        try:
            if data.startswith(b"\x7fELF"):
                data = section_data(data, ".BTF")
            return KernelTypes(Btf(data))
        except (BtfError, ElfError) as err:
            raise PlaceError(f"{path}: {err}") from err

    return types


def expect_uprobes() -> None:
    """Raises PlaceError where this kernel has none."""
    if not features.KPROBES.is_there or not os.path.exists(_PMU):
        raise PlaceError(
            "this kernel has no uprobes (it was built without CONFIG_UPROBE_EVENTS), or /sys is not"
            f" mounted: there is no {_PMU}"
        )


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """The file descriptor of a regular file, for the time of a `with`. Raises PlaceError."""
    try:
        # Opening a FIFO must not wait for somebody who writes.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as err:
        what = err.strerror if isinstance(err, OSError) else str(err)
        raise PlaceError(f"{path}: {what}") from err
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise PlaceError(f"{path} is no regular file")
        yield fd
    finally:
        os.close(fd)


def expect_machine(path: str, executable: Executable, machine: Machine) -> None:
    """Raises PlaceError where the file is for another kind of machine."""
    if executable.machine != _MACHINES[machine.machine]:
        raise PlaceError(f"{path}: it is for another machine than {machine.machine}")


def _sites(hook: Uprobe, fd: int, machine: Machine, changing: Sequence[Selector]) -> Iterator[Site]:
    """`changing`: the selectors, where they change registers."""
    try:
        executable = Executable(FileBytes(fd))
        expect_machine(hook.path, executable, machine)
        offsets = list(_offsets(hook, executable))
        rows = [
            assignments(changing, machine.machine, partial(_distance, executable, offset))
            for offset, _ in offsets
        ]
    except ElfError as err:
        raise PlaceError(f"{hook.path}: {err}") from err
    counters = hook.ref_ctr_offsets
    for number, (offset, symbol) in enumerate(offsets):
        place = Place(
            UPROBE,
            (hook.path,),
            0,
            offset=offset,
            reference_counter=counters[number] if number < len(counters) else 0,
            assignments=rows[number],
        )
        yield Site(place, (hook.path, symbol), None if symbol else offset)


def _distance(executable: Executable, offset: int, action: Action) -> int:
    """Bytes from a place in the file to where an Override has the process go on, both loaded."""
    if action.arg_new_symbol:
        target = executable.offset_of_symbol(action.arg_new_symbol)
    elif action.arg_new_addr:
        target = executable.offset_of_address(action.arg_new_addr)
    elif action.arg_new_offset:
        target = action.arg_new_offset
    else:
        return 0
    return executable.address_of_offset(target) - executable.address_of_offset(offset)


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
    import hashlib  # late: OpenSSL has 3 MB

    made = hashlib.new(algorithm)
    if os.fstat(fd).st_size > MAX_HASHED:  # a file with holes may have any size
        raise PlaceError(f"binaryDigests: the file has more than {MAX_HASHED} bytes")
    at = 0
    while True:
        piece = os.pread(fd, _PIECE, at)
        if not piece or at > MAX_HASHED:
            return made.hexdigest()
        made.update(piece)
        at += len(piece)


def _build_id(fd: int) -> Optional[str]:
    return Executable(FileBytes(fd)).build_id()
