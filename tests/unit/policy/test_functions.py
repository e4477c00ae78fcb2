# SPDX-License-Identifier: Apache-2.0
"""TracingPolicy: functions, system calls and lists of them."""

from __future__ import annotations

import pytest

from tests.support.policies import read, spec
from tetrapy.policy.functions import BITS_32, Functions, Syscall, functions, numbers, parse_syscall
from tetrapy.policy.values import UnfitError

LISTS = read(
    spec(
        "  loader: true\n  lists:\n"
        "  - {name: plain, values: [tcp_close, tcp_connect]}\n"
        "  - {name: calls, type: syscalls, values: [sys_dup, i386/sys_dup2, __ia32_sys_read]}\n"
        "  - {name: all, type: generated_syscalls}\n"
        "  - {name: found, type: generated_ftrace, pattern: ^ksys_}\n"
    )
).policy.spec.lists


@pytest.mark.parametrize(
    ("call", "syscall", "machine", "expected"),
    [
        ("tcp_close", False, "x86_64", Functions(("tcp_close",), syscall=False)),
        ("sys_read", True, "x86_64", Functions(("__x64_sys_read",), syscall=True)),
        ("sys_read", True, "aarch64", Functions(("__arm64_sys_read",), syscall=True)),
        ("__x64_sys_read", True, "x86_64", Functions(("__x64_sys_read",), syscall=True)),
        ("list:plain", False, "x86_64", Functions(("tcp_close", "tcp_connect"), syscall=False)),
        (
            "list:calls",
            False,
            "x86_64",
            Functions(("__x64_sys_dup", "__ia32_sys_dup2", "__ia32_sys_read"), syscall=True),
        ),
        ("list:all", False, "x86_64", Functions((), syscall=True, generated="generated_syscalls")),
        (
            "list:found",
            False,
            "x86_64",
            Functions((), syscall=False, generated="generated_ftrace", pattern="^ksys_"),
        ),
    ],
)
def test_functions(call: str, syscall: bool, machine: str, expected: Functions) -> None:
    """What `call` stands for; generated lists are left to who can ask the kernel."""
    assert functions(call, syscall=syscall, lists=LISTS, machine=machine) == expected


def test_a_list_that_is_not_there() -> None:
    """Those that are there are named."""
    with pytest.raises(UnfitError, match='names the list "x", which is not there; lists: plain, c'):
        functions("list:x", syscall=False, lists=LISTS, machine="x86_64")


@pytest.mark.parametrize(
    ("value", "machine", "expected"),
    [
        ("sys_read", "x86_64", Syscall("x64", "read")),
        ("sys_read", "aarch64", Syscall("arm64", "read")),
        ("i386/sys_read", "x86_64", Syscall("i386", "read")),
        ("arm32/sys_read", "aarch64", Syscall("arm32", "read")),
        ("__ia32_sys_read", "x86_64", Syscall("i386", "read")),
        ("i386/__x64_sys_read", "x86_64", Syscall("i386", "read")),
        ("x64/__ia32_sys_read", "x86_64", None),
        ("amd64/sys_read", "x86_64", None),
        ("/sys_read", "x86_64", None),
        ("a/b/sys_read", "x86_64", None),
        ("read", "x86_64", None),
        ("sys_", "x86_64", None),
        ("", "x86_64", None),
    ],
)
def test_system_calls(value: str, machine: str, expected: Syscall | None) -> None:
    """With or without an ABI; None stands for a refusal."""
    if expected is None:
        with pytest.raises(UnfitError):
            parse_syscall(value, machine)
    else:
        assert parse_syscall(value, machine) == expected


@pytest.mark.parametrize(
    ("abi", "name", "number", "symbol"),
    [
        # https://man7.org/linux/man-pages/man2/syscalls.2.html lists where numbers stand.
        ("x64", "read", 0, "__x64_sys_read"),
        ("x64", "openat2", 437, "__x64_sys_openat2"),
        ("i386", "read", 3 | BITS_32, "__ia32_sys_read"),
        ("arm64", "read", 63, "__arm64_sys_read"),
        ("arm32", "sync_file_range2", 341 | BITS_32, "__arm64_sys_sync_file_range2"),
        ("arm64", "open", None, "__arm64_sys_open"),
        ("x64", "nosuch", None, "__x64_sys_nosuch"),
    ],
)
def test_numbers(abi: str, name: str, number: int | None, symbol: str) -> None:
    """Those of 32 bits are marked."""
    call = Syscall(abi, name)
    assert (call.number, call.symbol) == (number, symbol)


def test_every_abi_has_its_calls() -> None:
    """A number is that of one call, but for names that are two for one."""
    for abi, least in (("x64", 370), ("i386", 440), ("arm64", 310), ("arm32", 400)):
        table = numbers(abi)
        assert len(table) > least
        assert len(table) - len(set(table.values())) <= 1
