# SPDX-License-Identifier: Apache-2.0
"""Drop-in directories: one file for each setting, its name the setting's, its content the value."""

from __future__ import annotations

import os
import stat
from typing import Any, List, Tuple

from tetrapy.config.given import Given
from tetrapy.config.setting import LIST, Setting
from tetrapy.config.table import BY_NAME, OWN_NAMES
from tetrapy.config.values import parse, zero
from tetrapy.errors import SettingsError

# What editors and package managers leave beside a file; hidden files are skipped as well.
_LEFT_OVER = (
    "~",
    ".bak",
    ".dpkg-bak",
    ".dpkg-dist",
    ".dpkg-new",
    ".dpkg-old",
    ".dpkg-tmp",
    ".orig",
    ".rpmnew",
    ".rpmorig",
    ".rpmsave",
    ".swp",
    ".tmp",
    ".ucf-dist",
    ".ucf-new",
    ".ucf-old",
)
MAX_SIZE = 1 << 20  # bytes of a file of settings; as much as a ConfigMap holds


def read_directory(path: str, given: Given) -> None:
    """Add what the files of a directory set; nothing happens if it does not exist.

    What cannot be read is warned of. Raises SettingsError for a value that does not parse.
    """
    try:
        names = os.listdir(path)
    except FileNotFoundError:
        return
    except OSError as err:
        given.unreadable(path, err)
        return
    _read_files(path, names, given)


def read_named_directory(path: str, named_by: str, given: Given) -> None:
    """Add what the files of the directory that the operator named set. Raises SettingsError if it
    is none.
    """
    try:
        names = os.listdir(path)
    except (OSError, ValueError) as err:
        what = err.strerror if isinstance(err, OSError) else str(err)
        text = f'{named_by}: config-dir is "{path}", not a directory that can be read: {what}'
        raise SettingsError(text) from err
    _read_files(path, names, given)
    given.note("info", "Loaded config from directory", {"config-dir": path})


def _read_files(directory: str, names: List[str], given: Given) -> None:
    files: List[Tuple[Setting, str]] = []
    # An alias is overlaid by the setting's own name.
    for name in sorted(names, key=lambda name: (name.lower() in OWN_NAMES, name)):
        if name.startswith(".") or name.endswith(_LEFT_OVER):
            continue
        setting = BY_NAME.get(name.lower())
        if setting is None:
            if not os.path.isdir(os.path.join(directory, name)):
                given.unknown(name, os.path.join(directory, name))
            continue
        files.append((setting, os.path.join(directory, name)))
    for setting, path in files:
        try:
            text = read_text(path).strip()
        except IsADirectoryError:
            continue
        except OSError as err:
            given.unreadable(path, err)
            continue
        given.set(setting, parse_file(setting, text, path), path)


def parse_file(setting: Setting, text: str, source: str) -> Any:
    """The value of a file's text, where nothing means the zero value. Raises SettingsError."""
    if text or (setting.choices and setting.kind != LIST):
        return parse(setting, text, source)
    return zero(setting)


def read_text(path: str) -> str:
    """The text of a file of settings; bytes that are no UTF-8 become surrogates.

    A byte order mark at the beginning is no part of it, and lines may end as those of Windows do.
    Raises OSError for what is no file, or larger than LARGEST; SettingsError for another encoding.
    """
    # Opening a FIFO must not wait for somebody who writes.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(path)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is no regular file")
        return read_text_from(fd, path)
    finally:
        os.close(fd)


def read_text_from(fd: int, name: str) -> str:
    """As `read_text`, of an open file, which `name` stands for in errors."""
    data = b""
    while len(data) <= MAX_SIZE:
        piece = os.read(fd, MAX_SIZE + 1 - len(data))
        if not piece:
            return _decoded(data, name)
        data += piece
    raise OSError(0, f"it is larger than {MAX_SIZE} bytes")


def _decoded(data: bytes, path: str) -> str:
    # UTF-16 and UTF-32 of anything that a setting can be have zero bytes.
    if b"\0" in data:
        what = "UTF-16 or UTF-32" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "no text"
        raise SettingsError(f"{path} holds zero bytes, as if it were {what}; write it in UTF-8")
    text = data.decode("utf-8", "surrogateescape")
    return text[text.startswith("\ufeff") :].replace("\r\n", "\n")
