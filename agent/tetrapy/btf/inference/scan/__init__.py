# SPDX-License-Identifier: Apache-2.0
"""Finds the layout of a kernel that nobody knows, by looking for what is known about a task.

Everything has to be found in one place only, or be decided by Linux' own order of fields; else the
scan gives up, or goes on with another reference process, in the places where both have it. What is
found has still to be proven by the full list of checks (`candidates.check`) with another reference
process, prepared with other values.
"""

from __future__ import annotations

from typing import AbstractSet, Callable, Dict, List, Optional, Sequence

from tetrapy.abi.core_queries import Answers
from tetrapy.btf.inference.memory import Unreadable
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.scan import (
    cgroups,
    credentials,
    execs,
    kernel_objects,
    namespaces,
    open_files,
    paths,
    processes,
    tasks,
)
from tetrapy.btf.inference.scan.finder import Finder, Places, Undecided, Unreached
from tetrapy.btf.inference.view import RENAMED, key
from tetrapy.named import NamedTuple

# In this order: later ones go on from what earlier ones have found.
STEPS: Sequence[Callable[[Finder], None]] = (
    tasks.find_ids,
    tasks.find_relatives,
    tasks.find_pid,
    processes.find_mm,
    tasks.find_exit_code,
    processes.find_cred,
    tasks.find_start,
    paths.find_paths,
    paths.find_mount,
    tasks.find_signal,
    tasks.find_login_uid,
    *cgroups.STEPS,
    processes.find_filename,
)
# What only programs read that need not be loaded.
OPTIONAL_STEPS: Sequence[Callable[[Finder], None]] = (
    credentials.find_securebits,
    credentials.find_capabilities,
    credentials.find_user_namespace,
    credentials.find_owner,
    namespaces.find_nsproxy,
    namespaces.find_pid_namespace,
    execs.find_file,
    execs.find_place,
    execs.find_named_inode,
    execs.find_device,
    open_files.find_files,
    open_files.find_magic,
    open_files.find_program,
    open_files.find_flags,
    open_files.find_socket,
    open_files.find_socket_kind,
    open_files.find_mark,
    open_files.find_mapped,
    kernel_objects.find_map,
    kernel_objects.find_program,
    kernel_objects.find_event,
    kernel_objects.find_device,
    execs.find_interpreter,
    execs.find_per_clear,
    paths.find_hash,
)


class Scan(NamedTuple):
    """What a scan found: `layout` is None if it gave up, `reasons` say over what.

    `off` are optional queries that were not found: what needs them does not work, or this kernel
    has no such thing.  `reads` counts the reads of kernel memory.  `places` is for another scan of
    this kernel, with another reference process, which may decide more where `is_ambiguous`.
    """

    layout: Optional[Answers]
    off: List[str]
    reasons: List[str]
    reads: int
    places: Places
    is_ambiguous: bool


def scan(
    queries: Sequence[str],
    reference: ReferenceProcess,
    optional: AbstractSet[str] = frozenset(),
    earlier: Optional[Places] = None,
) -> Scan:
    """Find all queries; the reference process is ended by this.

    `optional` are queries without which the programs do, `earlier` the places of another scan.
    """
    finder = Finder(reference, earlier or {})
    reasons: List[str] = []
    finder.read_tasks()
    for step in STEPS:
        if reference.has_cgroups or step not in cgroups.STEPS:
            _try(step, finder, reasons)
    for step in OPTIONAL_STEPS:
        _try(step, finder, [])
    before: List[int] = []
    _try(lambda finder: before.extend(processes.signal_numbers(finder)), finder, reasons)
    reference.end()
    finder.memory.forget()
    _try(lambda finder: processes.find_exit(finder, before), finder, reasons)
    values = [_value(query, finder.found) for query in queries]
    renamed = {name for names in RENAMED for name in names[1:]}
    missing = [n for n, value in zip(queries, values) if value is None and key(n) not in renamed]
    none = frozenset() if reference.has_cgroups else cgroups.QUERIES
    essential = [one for one in missing if one not in optional and key(one) not in none]
    if essential:
        reasons += [f"nothing looks for {query}" for query in essential if not reasons]
        return Scan(None, [], reasons, finder.memory.reads, finder.places, finder.is_ambiguous)
    return Scan(
        tuple(values), missing, reasons, finder.memory.reads, finder.places, finder.is_ambiguous
    )


def _try(step: Callable[[Finder], None], finder: Finder, reasons: List[str]) -> None:
    try:
        step(finder)
    except Undecided as undecided:
        if not reasons or not isinstance(undecided, Unreached):
            reasons.append(str(undecided))
    except Unreadable:
        reasons.append("a structure that was found cannot be read")


def _value(query: str, found: Dict[str, int]) -> Optional[int]:
    value = found.get(key(query))
    return value * 8 if value is not None and query.startswith("offset ") else value
