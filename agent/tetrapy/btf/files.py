# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat


def replace_file(path: str, data: bytes) -> None:
    """Write a file beside its place and move it there when it is complete and on the disk.

    What is no regular file, such as /dev/null, is written to as it is.  Raises OSError that
    names the file; an earlier one is then as it was.
    """
    try:
        _replace(os.path.realpath(path), data)
    except OSError as err:
        # Not the file aside, and not no file at all.
        raise OSError(err.errno, err.strerror, path) from err


def _replace(path: str, data: bytes) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if not stat.S_ISREG(mode):
        with open(path, "wb") as file:
            file.write(data)
        return
    aside = f"{path}.new-{os.urandom(4).hex()}"
    try:
        with open(aside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise
    fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
