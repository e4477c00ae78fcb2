# SPDX-License-Identifier: Apache-2.0
"""`tracingpolicy generate`: policies of what this kernel or a program has, as YAML."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator, List

from tetrapy.abi.elf import FileBytes
from tetrapy.abi.executable import Executable
from tetrapy.cli.client.arguments import Values
from tetrapy.cli.config import write
from tetrapy.errors import SettingsError, TetrapyError
from tetrapy.policy import generate

_NOT_IMPLEMENTED = "sys_ni_syscall"


def empty(_options: Values, _arguments: List[str]) -> int:
    """A policy without hooks."""
    return write(generate.text_of(generate.document("empty")))


def all_system_calls(options: Values, _arguments: List[str]) -> int:
    """A kprobe for each system call."""
    policy = generate.system_calls(_system_calls(), options["match-binary"])
    return write(generate.text_of(policy))


def list_of_system_calls(options: Values, _arguments: List[str]) -> int:
    """A list of all system calls."""
    policy = generate.list_of_system_calls(_system_calls(), options["match-binary"])
    return write(generate.text_of(policy))


def list_of_functions(options: Values, _arguments: List[str]) -> int:
    """A list of the functions that ftrace can trace, by a regular expression."""
    from tetrapy.filters.json_objects import Place
    from tetrapy.filters.texts import any_matches
    from tetrapy.kernel.symbols import Symbols
    from tetrapy.kernel.tracefs import KernelFiles

    matches = any_matches([options["regex"]], "regex", Place("--regex", 0))
    files = KernelFiles()
    try:
        names = [name for name in Symbols(files).traceable() if matches(name)]
    finally:
        files.close()
    policy = generate.list_of_functions(names, options["match-binary"])
    return write(generate.text_of(policy))


def uprobes(options: Values, _arguments: List[str]) -> int:
    """A hook for the functions of a program."""
    with _executable(options["binary"]) as executable:
        policy = generate.uprobes(options["binary"], executable.functions())
    return write(generate.text_of(policy))


def usdts(options: Values, _arguments: List[str]) -> int:
    """A hook for each static probe of a program; a probe with several places is one."""
    from tetrapy.abi.static_probes import split_arguments

    with _executable(options["binary"]) as executable:
        probes = {(one.provider, one.name): one.arguments for one in executable.static_probes()}
    found = [(*names, split_arguments(text)) for names, text in probes.items()]
    return write(generate.text_of(generate.static_probes(options["binary"], found)))


@contextmanager
def _executable(path: str) -> Iterator[Executable]:
    """Raises SettingsError, OSError, ElfError."""
    if not path:
        raise SettingsError("binary is not specified, please use --binary option")
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        yield Executable(FileBytes(fd))
    finally:
        os.close(fd)


def _system_calls() -> List[str]:
    """`sys_read` and the like, all that this kernel has. Raises TetrapyError."""
    from tetrapy.kernel.symbols import Symbols
    from tetrapy.kernel.tracefs import KernelFiles
    from tetrapy.policy.functions import symbol

    prefix = symbol("", os.uname().machine)
    files = KernelFiles()
    try:
        found = Symbols(files).starting(f"{prefix}sys_")
    finally:
        files.close()
    names = [name[len(prefix) :] for name in found]
    if not names:
        raise TetrapyError("/proc/kallsyms lists no system calls")
    # Parts that the compiler split off have a dot in their names.
    return [name for name in names if name != _NOT_IMPLEMENTED and "." not in name]
