# SPDX-License-Identifier: Apache-2.0
"""Operators that need more than one number of an argument, on this kernel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.compile import installed
from tests.support.policy_agent import count, drained, listed, policy, started

GETPRIORITY = 140 if os.uname().machine == "x86_64" else 141


def executed(operator: str, kind: str, resolve: str, *values: str) -> dict[str, Any]:
    """A raw tracepoint that asks for the type of the file that is executed."""
    return {
        "subsystem": "sched",
        "event": "sched_process_exec",
        "raw": True,
        "args": [{"index": 2, "type": kind, "resolve": resolve}],
        "selectors": [{"matchArgs": [{"index": 2, "operator": operator, "values": [*values]}]}],
    }


def sets(program: Path, first: int, second: int) -> dict[str, Any]:
    """A uprobe on a function whose first two arguments point to sets of capabilities."""
    return {
        "path": str(program),
        "symbols": ["sets"],
        "args": [
            {"index": 0, "type": "cap_effective"},
            {"index": 1, "type": "cap_effective"},
            {"index": 2, "type": "uint64"},
        ],
        "selectors": [{"matchArgs": [{"args": [first, second], "operator": "CapabilitiesGained"}]}],
    }


def test_types_of_files(tmp_path: Path) -> None:
    """Of a file and of a path; what is no member of the list fails, its opposite holds."""
    hooks = {
        "regular": executed("FileType", "file", "file", "reg", "dir"),
        "others": executed("NotFileType", "file", "file", "sock", "fifo"),
        "path": executed("FileType", "path", "file.f_path", "regular"),
        "directories": executed("FileType", "file", "file", "dir"),
        "irregular": executed("NotFileType", "file", "file", "reg"),
    }
    texts = {name: policy(name, {"tracepoints": [hook]}) for name, hook in hooks.items()}
    program = shutil.copy2("/bin/true", tmp_path / "executed")
    with started(tmp_path / "agent", **texts) as agent:
        agent.started()
        subprocess.run([program], check=True)
        drained(agent, "types")
        needle = f'"binary":"{program}"'.encode()
        lines = [line for line in agent.lines() if needle in line]
        found = {
            name
            for name in hooks
            if any(f'"policy_name":"{name}"'.encode() in one for one in lines)
        }
    assert found == {"regular", "others", "path"}


def test_capabilities_that_are_gained(tmp_path: Path) -> None:
    """The second set has one that the first has not: as Tetragon decides."""
    program = installed("called", tmp_path)
    texts = {
        "gained": policy("gained", {"uprobes": [sets(program, 0, 1)]}),
        "lost": policy("lost", {"uprobes": [sets(program, 1, 0)]}),
    }
    # NUMBER SMALL WIDE ID: the sets are SMALL and WIDE.
    lines = "0 3 1 1\n0 1 3 2\n0 3 3 3\n0 2 1 4\n0 0 0 5\n"
    with started(tmp_path / "agent", **texts) as agent:
        agent.started()
        subprocess.run([program], input=lines, text=True, check=True)
        drained(agent, "gained")
        assert count(agent, "process_uprobe", "gained") == 2  # 2 and 4
        assert count(agent, "process_uprobe", "lost") == 2  # 1 and 4


def test_numbers_of_an_array(tmp_path: Path) -> None:
    """A field that is an array shows each element; what is no part of a filter."""
    hook = {
        "subsystem": "raw_syscalls",
        "event": "sys_enter",
        "args": [{"index": 4, "type": "int64"}, {"index": 5, "type": "auto"}],
        "selectors": [
            {
                "matchArgs": [{"index": 4, "operator": "Equal", "values": [str(GETPRIORITY)]}],
                "matchBinaries": [{"operator": "In", "values": [os.path.realpath(sys.executable)]}],
            }
        ],
    }
    of_array = {**hook, "selectors": [{"matchArgs": [{"index": 5, "operator": "Equal"}]}]}
    texts = {
        "array": policy("array", {"tracepoints": [hook]}),
        "filter": policy("filter", {"tracepoints": [of_array]}),
    }
    # The last is passed on the stack, of which an int would set but half of a word.
    numbers = [1, 22, 333, 4444, 55555, 666]
    words = ", ".join(f"ctypes.c_long({number})" for number in numbers)
    call = f"import ctypes; ctypes.CDLL(None).syscall(ctypes.c_long({GETPRIORITY}), {words})"
    with started(tmp_path / "agent", **texts) as agent:
        agent.started()
        assert "matchArgs: Equal of an array" in listed(agent)[1]["error"]
        subprocess.run([sys.executable, "-c", call], check=True)
        drained(agent, "array")
        # Other programs of this Python may ask for a priority, too.
        told = [one for one in agent.lines() if b'"policy_name":"array"' in one]
        (line,) = [one for one in told if b"c_long(333)" in one]
    told = json.loads(line)["process_tracepoint"]["args"]
    assert told[1:] == [{"size_arg": str(number)} for number in numbers]
