# SPDX-License-Identifier: Apache-2.0
"""What the kernel hands to tracers at an exec: the first words of a struct linux_binprm."""

from __future__ import annotations

import os
import signal
import time
from struct import Struct
from typing import List, Optional, Tuple

from tetrapy.errors import KernelError
from tetrapy.kernel import sys_calls
from tetrapy.kernel.child import Child
from tetrapy.kernel.kernel_memory import KernelMemory
from tetrapy.kernel.native import memfd
from tetrapy.kernel.reference_process import capabilities, minimal_elf
from tetrapy.kernel.shared_memory import Fence, Fields
from tetrapy.named import NamedTuple

_PROGRAM = "capture_exec"
# Where programs out of memory are forbidden the interpreter of the script is this one: no other is
# certain to be there. It is killed at once; if it gets that far it tells its version to nobody.
_INTERPRETER = "/proc/self/exe"
_DIRECTORIES = ("/run", "/dev/shm", "/tmp")  # noqa: S108 - O_EXCL and a random name
# Looks, 0.2 ms apart: they are counted, since the clock of a virtual machine may jump.
_ATTEMPTS = 25_000
_MAX_TEXT = 4096
_GAVE_UP = b"\0"
_MODE = 0o2715


class CapturedExec(NamedTuple):
    """An exec as it was asked for, and as the kernel saw it; `close` it."""

    path: bytes
    words: Tuple[int, ...]  # of struct linux_binprm, from its start; 0 where it cannot be read
    strings: Tuple[bytes, ...]  # what each points to, cut at 63 bytes; empty for no string
    targets: Tuple[Tuple[int, ...], ...]  # the first words of that; 0 likewise
    program: int  # the file that was executed in the end: open, so that the kernel keeps its inode
    gained: (
        bool  # whether the exec gave a capability, for which it clears a part of the personality
    )

    def close(self) -> None:
        """Close the program."""
        os.close(self.program)


def capture_exec(memory: KernelMemory, limits: List[str]) -> Optional[CapturedExec]:
    """Have a child exec a script, so that filename and interpreter differ.

    What could not be done is added to `limits`; None when nothing was captured.
    """
    for what, way in _WAYS:
        try:
            return way(memory)
        except (OSError, KernelError) as err:
            limits.append(f"exec of {what}: {err}")
    return None


def _of_memfd(memory: KernelMemory) -> CapturedExec:
    program = _in_memory(minimal_elf.image())
    try:
        # Two bits of the mode are odd; none gives rights, since nobody but us can reach the file.
        os.fchmod(program, _MODE)
        script = _in_memory(_script(f"/proc/self/fd/{program}"))
        try:
            return _capture(memory, f"/proc/self/fd/{script}", program)
        finally:
            os.close(script)
    finally:
        os.close(program)


def _in_memory(data: bytes) -> int:
    """A file without a name, open for reading: what is open for writing cannot be executed."""
    writer = memfd("exec")
    try:
        os.write(writer, data)
        return os.open(f"/proc/self/fd/{writer}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writer)


def _script(interpreter: str) -> bytes:
    return f"#!{interpreter} -V\n".encode()


def _of_file(memory: KernelMemory) -> CapturedExec:
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
                os.write(fd, _script(_INTERPRETER))
            finally:
                os.close(fd)
            return _of_python(memory, path)
        except OSError as err:
            tried.append(f"{directory}: {err.strerror or err}")
        finally:
            os.unlink(path)
    raise OSError("; ".join(tried))


def _of_interpreter(memory: KernelMemory) -> CapturedExec:
    return _of_python(memory, _INTERPRETER)


def _of_python(memory: KernelMemory, path: str) -> CapturedExec:
    """An exec that ends with the interpreter that runs this."""
    program = os.open(_INTERPRETER, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _capture(memory, path, program)
    finally:
        os.close(program)


_WAYS = (
    ("a script in a memfd, for a program in another", _of_memfd),
    ("a script in a file", _of_file),
    ("an interpreter without a script, which has one path for two members", _of_interpreter),
)


def _capture(memory: KernelMemory, path: str, program: int) -> CapturedExec:
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
        reported = b"".join(iter(lambda: os.read(reader, _MAX_TEXT), b""))
        gave_up, refusal = reported.startswith(_GAVE_UP), reported.lstrip(_GAVE_UP)
        if refusal:
            raise OSError(refusal.decode("utf-8", "replace"))
        _wait_for_exec(memory)
    finally:
        child.kill()
        memory.detach(_PROGRAM)
        os.close(reader)
    return _facts(memory, path, os.dup(program), gave_up)


def _exec(memory: KernelMemory, path: str, writer: int) -> None:
    """In the child. The pipe's end closes by the exec; until then it takes the reason against.

    Before that it takes _GAVE_UP if the child has given up a capability that the exec gives back.
    """
    try:
        _set(memory, memory.current().tgid)
        sys_calls.call("prctl", sys_calls.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        nobody = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in range(3):
            os.dup2(nobody, fd)
        if capabilities.give_up_for_exec():
            os.write(writer, _GAVE_UP)
        os.execve(path, [path, "-V"], {})  # noqa: S606 - it is about the system call
    except (OSError, KernelError) as err:
        os.write(writer, str(getattr(err, "strerror", None) or err).encode())


def _set(memory: KernelMemory, tgid: int) -> None:
    """Have the program capture the next exec of a process; 0 is none's number."""
    # Any process of the machine may execute meanwhile, and the program looks at both.
    memory.section.word(*memory.variables["exec_tgid"]).store(tgid)
    memory.section.word(*memory.variables["exec_seen"]).store(0)
    memory.section.push()


def _wait_for_exec(memory: KernelMemory) -> None:
    """The pipe closes a moment before the kernel tells tracers."""
    seen = memory.section.word(*memory.variables["exec_seen"])
    for _ in range(_ATTEMPTS):
        memory.section.pull()
        if seen.load():
            Fence()()
            return
        time.sleep(0.0002)
    raise OSError("the exec was not seen at the tracepoint sched_process_exec")


def _facts(memory: KernelMemory, path: str, program: int, gained: bool) -> CapturedExec:
    words = _words(memory, "exec_words")
    offset, size = memory.variables["exec_strings"]
    each = size // len(words)
    strings = bytes(memory.section.view[offset : offset + size])
    texts = [strings[at : at + each].partition(b"\0")[0] for at in range(0, size, each)]
    all_targets = _words(memory, "exec_targets")
    each = len(all_targets) // len(words)
    targets = [all_targets[at : at + each] for at in range(0, len(all_targets), each)]
    return CapturedExec(os.fsencode(path), words, tuple(texts), tuple(targets), program, gained)


def _words(memory: KernelMemory, variable: str) -> Tuple[int, ...]:
    offset, size = memory.variables[variable]
    return Fields(Struct(f"={size // 8}Q"), memory.section.view, offset).read()
