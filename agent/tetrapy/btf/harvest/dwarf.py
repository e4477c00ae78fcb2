# SPDX-License-Identifier: Apache-2.0
"""BTF out of DWARF: pahole makes it, as in the kernel's own build (scripts/link-vmlinux.sh)."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from typing import BinaryIO, List

from tetrapy.btf.harvest import limits
from tetrapy.errors import FormatError

_LAST_WORDS = 300
# How often a worker looks whether the harvest still wants what pahole makes.
_LOOK_SECONDS = 0.5
_STOP = (signal.SIGTERM,)


def btf_of_dwarf(vmlinux: str, scratch: str, pahole: str) -> bytes:
    """The BTF of a vmlinux with DWARF, at a path; `scratch` is a directory for what pahole writes.

    FormatError: pahole is missing, fails, takes too long, or writes too much; its words are in it.
    """
    program = shutil.which(pahole)
    if program is None:
        raise FormatError(
            f"the kernel has DWARF but no BTF, and the program {pahole} that makes BTF of it is not"
            " there: install pahole (package pahole or dwarves), version 1.22 or newer"
        )
    output = os.path.join(scratch, "detached.btf")
    log = os.path.join(scratch, "pahole.log")
    command = [program, "--btf_encode_detached", output, vmlinux]
    with open(log, "w+b") as words:
        # The time that a worker gives one input is not for this; zero outside of a worker.
        left = signal.alarm(0)
        try:
            code = _run(command, words)
        finally:
            signal.alarm(left)
        words.seek(max(0, words.tell() - _LAST_WORDS))
        said = words.read().decode("utf-8", "replace").strip().replace("\n", "; ")
    if code or not os.path.exists(output):
        raise FormatError(f"pahole made no BTF of its DWARF (exit code {code}): {said or 'silent'}")
    with open(output, "rb") as file:
        return file.read(limits.BTF + 1)


def _run(command: List[str], words: BinaryIO) -> int:
    """The exit code of pahole, which is not left behind: not after its time, not by an orphan."""
    parent = os.getppid()
    end = time.monotonic() + limits.PAHOLE_SECONDS
    # A stop before it is known which process to kill would leave that one behind.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            preexec_fn=_prepare_pahole,  # noqa: PLW1509  workers have no threads
        )
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        while True:
            try:
                return process.wait(_LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if os.getppid() != parent:
                    raise FormatError("the harvest was killed meanwhile") from None
                if time.monotonic() > end:
                    took = f"pahole took more than {limits.PAHOLE_SECONDS} s"
                    raise FormatError(took) from None
    finally:
        if process.poll() is None:
            # With what it has started, if it is a script.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _prepare_pahole() -> None:
    """Memory as before a worker limited itself, since pahole maps the whole file; less to write."""
    os.setpgid(0, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
    _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.BTF + 1, hard))
