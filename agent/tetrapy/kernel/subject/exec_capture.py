"""What the kernel hands to tracers at an exec: the first words of a struct linux_binprm."""

from __future__ import annotations

import os
import signal
import struct
import time
from typing import List, NamedTuple, Optional, Tuple

from tetrapy.errors import KernelError
from tetrapy.kernel import sys_calls
from tetrapy.kernel.native import memfd
from tetrapy.kernel.peek import KernelMemory
from tetrapy.kernel.subject.child import Child

_PROGRAM = "peek_exec"
# The interpreter of the script is this one: no other is certain to be there. It is killed at once;
# if it gets that far it tells its version to nobody.
_INTERPRETER = "/proc/self/exe"
_SCRIPT = f"#!{_INTERPRETER} -V\n".encode()
_DIRECTORIES = ("/run", "/dev/shm", "/tmp")  # noqa: S108 - O_EXCL and a random name
# Looks, 0.2 ms apart: they are counted, since the clock of a virtual machine may jump.
_PATIENCE = 25_000
_MAX_TEXT = 4096


class ExecFacts(NamedTuple):
    """An exec as it was asked for, and as the kernel saw it."""

    path: bytes
    words: Tuple[int, ...]  # of struct linux_binprm, from its start; 0 where it cannot be read
    strings: Tuple[bytes, ...]  # what each points to, cut at 63 bytes; empty for no string


def capture_exec(memory: KernelMemory, limits: List[str]) -> Optional[ExecFacts]:
    """Have a child exec a script, so that filename and interpreter differ.

    What could not be done is added to `limits`; None when nothing was captured.
    """
    for what, way in _WAYS:
        try:
            return way(memory)
        except (OSError, KernelError) as err:
            limits.append(f"exec of {what}: {err}")
    return None


def _of_memfd(memory: KernelMemory) -> ExecFacts:
    writer = memfd("exec")
    try:
        os.write(writer, _SCRIPT)
        # What is open for writing cannot be executed.
        reader = os.open(f"/proc/self/fd/{writer}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writer)
    try:
        return _capture(memory, f"/proc/self/fd/{reader}")
    finally:
        os.close(reader)


def _of_file(memory: KernelMemory) -> ExecFacts:
    tried = []
    for directory in _DIRECTORIES:
        path = f"{directory}/tetrapy-{os.urandom(8).hex()}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700)
        except OSError as err:
            tried.append(f"{directory}: {err.strerror or err}")
            continue
        try:
            try:
                os.write(fd, _SCRIPT)
            finally:
                os.close(fd)
            return _capture(memory, path)
        except OSError as err:
            tried.append(f"{directory}: {err.strerror or err}")
        finally:
            os.unlink(path)
    raise OSError("; ".join(tried))


def _of_interpreter(memory: KernelMemory) -> ExecFacts:
    return _capture(memory, _INTERPRETER)


_WAYS = (
    ("a script in a memfd", _of_memfd),
    ("a script in a file", _of_file),
    ("an interpreter without a script, which has one path for two members", _of_interpreter),
)


def _capture(memory: KernelMemory, path: str) -> ExecFacts:
    """One exec of `path` in a child, which is killed then. Raises OSError if it is refused."""
    child = Child()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    _set(memory, tgid=0)
    memory.attach(_PROGRAM)
    try:
        try:
            child.start(lambda: _exec(memory, path, writer))
        finally:
            os.close(writer)
        refusal = os.read(reader, _MAX_TEXT)
        if refusal:
            raise OSError(refusal.decode("utf-8", "replace"))
        _wait_for_exec(memory)
    finally:
        child.kill()
        memory.detach(_PROGRAM)
        os.close(reader)
    return _facts(memory, path)


def _exec(memory: KernelMemory, path: str, writer: int) -> None:
    """In the child. The pipe's end closes by the exec; until then it takes the reason against."""
    try:
        _set(memory, memory.current().tgid)
        sys_calls.call("prctl", sys_calls.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        nobody = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in range(3):
            os.dup2(nobody, fd)
        os.execve(path, [path, "-V"], {})  # noqa: S606 - it is about the system call
    except (OSError, KernelError) as err:
        os.write(writer, str(getattr(err, "strerror", None) or err).encode())


def _set(memory: KernelMemory, tgid: int) -> None:
    """Have the program capture the next exec of a process; 0 is none's number."""
    view, variables = memory.window.view, memory.variables
    struct.pack_into("=I", view, variables["exec_tgid"][0], tgid)
    struct.pack_into("=I", view, variables["exec_seen"][0], 0)
    memory.window.push()


def _wait_for_exec(memory: KernelMemory) -> None:
    """The pipe closes a moment before the kernel tells tracers."""
    seen = memory.variables["exec_seen"][0]
    for _ in range(_PATIENCE):
        memory.window.pull()
        if memory.window.view[seen]:
            return
        time.sleep(0.0002)
    raise OSError("the exec was not seen at the tracepoint sched_process_exec")


def _facts(memory: KernelMemory, path: str) -> ExecFacts:
    offset, size = memory.variables["exec_words"]
    words = struct.unpack_from(f"={size // 8}Q", memory.window.view, offset)
    offset, size = memory.variables["exec_strings"]
    each = size // len(words)
    strings = bytes(memory.window.view[offset : offset + size])
    texts = [strings[at : at + each].partition(b"\0")[0] for at in range(0, size, each)]
    return ExecFacts(os.fsencode(path), words, tuple(texts))
