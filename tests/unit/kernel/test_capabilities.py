# SPDX-License-Identifier: Apache-2.0
"""Giving up capabilities: what is kept, that it is for good, and that threads to come have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support.agent import ROOT
from tetrapy.errors import KernelError
from tetrapy.kernel import capabilities, sys_calls

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

# Runs in a process of its own: what it does cannot be undone.
_PROGRAM = """
import json, subprocess, sys, threading
from tetrapy.kernel import capabilities
def sets():
    lines = open("/proc/thread-self/status").read().splitlines()
    fields = dict(line.split(":\\t") for line in lines if ":\\t" in line)
    return {name: fields[name] for name in fields if name.startswith(("Cap", "NoNewPrivs"))}
kept = capabilities.drop_all_but(sys.argv[1:])
found = []
thread = threading.Thread(target=lambda: found.append(sets()))
thread.start()
thread.join()
child = subprocess.run(["cat", "/proc/self/status"], check=True, capture_output=True, text=True)
lines = [line.split(":\\t") for line in child.stdout.splitlines() if ":\\t" in line]
print(json.dumps([kept, sets(), found[0], dict(x for x in lines if x[0].startswith("Cap"))]))
"""


def dropped(*names: str, under: tuple[str, ...] = ()) -> list:
    done = subprocess.run(
        [*under, sys.executable, "-c", _PROGRAM, *names],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "agent")},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_root
def test_what_is_not_named_is_gone() -> None:
    """From every set, of threads and programs to come too."""
    kept, own, thread, child = dropped("CAP_BPF", "CAP_SYS_PTRACE")
    assert sorted(kept) == ["CAP_BPF", "CAP_SYS_PTRACE"]
    bits = f"{1 << 39 | 1 << 19:016x}"
    assert own["CapEff"] == own["CapPrm"] == own["CapBnd"] == bits
    assert own["CapInh"] == own["CapAmb"] == f"{0:016x}"
    assert own["NoNewPrivs"] == "1"
    assert thread == own
    assert child["CapEff"] == bits


_RESERVE = """
from tetrapy.kernel import capabilities
capabilities.drop_all_but(["CAP_BPF"], ["CAP_BPF", "CAP_SYS_PTRACE"])
before = capabilities.held()
with capabilities.raised():
    meanwhile = capabilities.held()
    with capabilities.raised():
        assert capabilities.held() == meanwhile
print(before.effective, before.permitted, meanwhile.effective, capabilities.held() == before)
"""


@needs_root
def test_a_reserve_has_effect_for_a_while() -> None:
    """What is permitted beside what is kept is in effect within `raised`, and not afterwards."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "agent")}
    command = [sys.executable, "-c", _RESERVE]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    kept, both = 1 << 39, 1 << 39 | 1 << 19
    assert done.stdout.split() == [str(kept), str(both), str(both), "True"]


@needs_root
def test_all_can_be_given_up() -> None:
    """Root is then a user like others, who owns root's files."""
    kept, own, _, child = dropped()
    assert kept == []
    assert {own["CapEff"], own["CapPrm"], own["CapBnd"], child["CapEff"]} == {f"{0:016x}"}


@needs_root
def test_what_is_not_held_is_not_gained() -> None:
    """A name asks to keep, not to get."""
    under = ("setpriv", "--bounding-set=-all,+setpcap,+sys_ptrace")
    kept, own, _, _ = dropped("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", under=under)
    assert kept == ["CAP_SYS_PTRACE"]
    assert own["CapEff"] == f"{1 << 19:016x}"


@needs_root
def test_without_the_right_to_change_the_bounding_set() -> None:
    """What is held is given up all the same, and an exec gains nothing."""
    under = ("setpriv", "--bounding-set=-all,+sys_ptrace,+chown")
    kept, own, _, child = dropped("CAP_SYS_PTRACE", under=under)
    assert kept == ["CAP_SYS_PTRACE"]
    assert own["CapEff"] == own["CapPrm"] == f"{1 << 19:016x}"
    assert own["CapBnd"] == f"{1 << 19 | 1:016x}"
    assert child["CapEff"] == f"{1 << 19:016x}"


def test_anyone_may_give_up_what_they_have_not() -> None:
    """A process without capabilities keeps none and goes on."""
    under = ("setpriv", "--reuid=65534", "--clear-groups") if os.geteuid() == 0 else ()
    kept, own, _, _ = dropped("CAP_BPF", under=under)
    assert kept == []
    assert own["CapEff"] == f"{0:016x}"


def test_a_refusal_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seccomp filter may forbid capset."""

    def call(name: str, *arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sys_calls, "call", call)
    with pytest.raises(KernelError, match=r"^capabilities cannot be given up: Permission denied"):
        capabilities.drop_all_but(["CAP_BPF"])
