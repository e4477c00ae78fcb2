# SPDX-License-Identifier: Apache-2.0
"""Policies that are written by programs."""

from __future__ import annotations

import os
import sys

import pytest

from tetrapy.cli.client import main
from tetrapy.policy import generate
from tetrapy.policy.read import read_policy

NAMES = ["sys_read", "sys_write"]


@pytest.mark.parametrize("binary", ["", "/bin/ls"])
def test_all_are_policies(binary: str) -> None:
    """That can be loaded, and hook what was asked for."""
    for policy in (
        generate.system_calls(NAMES, binary),
        generate.list_of_system_calls(NAMES, binary),
        generate.list_of_functions(["do_exit"], binary),
    ):
        read = read_policy(generate.text_of(policy)).policy
        hooks = read.spec.kprobes
        assert len(hooks) == (1 if read.spec.lists else 2)
        for hook in hooks:
            assert (
                [one.values for one in hook.selectors[0].match_binaries]
                == ([(binary,)] if binary else [])
                if binary
                else not hook.selectors
            )
    assert read_policy(generate.text_of(generate.uprobes("/bin/sh", ["main"]))).policy.spec.uprobes
    probes = [("p", "n", ["-4@%eax", "8@-16(%rbp)", "1@$3"]), ("p", "m", [])]
    usdts = read_policy(
        generate.text_of(generate.static_probes("/bin/sh", probes))
    ).policy.spec.usdts
    assert [(one.provider, one.name) for one in usdts] == [("p", "n"), ("p", "m")]
    assert [one.type for one in usdts[0].args] == ["int32", "uint64", "uint8"]


def test_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Of this machine: its system calls, and the functions of a program."""
    assert main(["tp", "generate", "empty"], "tetra") == 0
    assert "name: empty\n" in capsys.readouterr().out
    if (
        os.access("/proc/kallsyms", os.R_OK)
        and main(["tp", "generate", "all-syscalls-list"], "t") == 0
    ):
        values = read_policy(capsys.readouterr().out).policy.spec.lists[0].values
        assert "sys_execve" in values
        assert "sys_ni_syscall" not in values
    capsys.readouterr()
    python = os.path.realpath(sys.executable)
    assert main(["tp", "generate", "uprobes", "-b", python], "tetra") == 0
    text = capsys.readouterr().out
    assert f"path: {python}\n" in text
    assert main(["tp", "generate", "usdts", "-b", python], "tetra") == 0
    assert read_policy(capsys.readouterr().out).policy.metadata.name == "usdts"
    assert main(["tp", "generate", "uprobes"], "tetra") == 1
    assert "please use --binary option" in capsys.readouterr().err
    assert main(["tp", "generate", "uprobes", "-b", "/etc/passwd"], "tetra") == 1
    assert capsys.readouterr().err.startswith("Error: ")
