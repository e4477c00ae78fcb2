# SPDX-License-Identifier: Apache-2.0
"""A private path for BTF bytes, since libbpf takes a path (`btf_custom_path`), not bytes."""

from __future__ import annotations

import contextlib
import os
from typing import Iterator, Optional


class PrivateFile:
    """Bytes under a path that only this process can open; gone after `close`.

    A memory file where the system has these: it leaves nothing behind whatever happens.  Otherwise
    a file of mode 0600 in a new directory of mode 0700 under `run_dir`; OSError if that fails too.
    """

    def __init__(self, data: bytes, run_dir: str) -> None:
        self._fd = -1
        self._directory = ""
        self.path = ""
        try:
            self._fd = os.memfd_create("tetrapy-btf", os.MFD_CLOEXEC)
            self._write(self._fd, data)
            self.path = f"/proc/self/fd/{self._fd}"
            # libbpf opens the path anew, which needs a procfs that is mounted there.
            os.close(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC))
        except (OSError, AttributeError):
            # No memfd in this kernel or this Python, or it is forbidden.
            self.close()
            self._write_file(data, run_dir)

    def close(self) -> None:
        """Remove the file; calling it again does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._directory:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(self._directory)
            self._directory = ""
        self.path = ""

    def _write_file(self, data: bytes, run_dir: str) -> None:
        import tempfile

        self._directory = tempfile.mkdtemp(prefix="btf-", dir=run_dir)
        self.path = os.path.join(self._directory, "vmlinux")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            fd = os.open(self.path, flags, 0o600)
            try:
                self._write(fd, data)
            finally:
                os.close(fd)
        except OSError:
            self.close()
            raise

    @staticmethod
    def _write(fd: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]


@contextlib.contextmanager
def custom_path(data: Optional[bytes], run_dir: str) -> Iterator[Optional[str]]:
    """The `btf_custom_path` of BTF for the time of a `with`; None where the kernel's own serves."""
    if data is None:
        yield None
        return
    file = PrivateFile(data, run_dir)
    try:
        yield file.path
    finally:
        file.close()
