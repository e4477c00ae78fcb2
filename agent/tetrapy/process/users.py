# SPDX-License-Identifier: Apache-2.0
"""Names of users, as the host's /etc/passwd has them (passwd(5)).

The file is read here and no service is asked: that could take long, or start processes.
"""

from __future__ import annotations

import os
from typing import Dict, Optional, Tuple

from tetrapy.events.text import to_text
from tetrapy.host_files import host_path

_PATH = "/etc/passwd"
_CHECKS = 256  # look-ups between two looks whether the file has changed


class Users:
    """uid -> name; the first line with a uid counts."""

    def __init__(self, root: str = "") -> None:
        """`root` stands before the path: that of the machine's first process."""
        self._root = root
        self._names: Dict[int, str] = {}
        self._version: Optional[Tuple[int, int, int]] = None
        self._left = 0

    def name(self, uid: int) -> str:
        """The name; empty if the file has none."""
        if not self._left:
            self._left = _CHECKS
            self._refresh()
        self._left -= 1
        return self._names.get(uid, "")

    def _refresh(self) -> None:
        try:
            path = host_path(self._root, _PATH)
            state = os.stat(path)
            version = (state.st_ino, state.st_mtime_ns, state.st_size)
            if version == self._version:
                return
            with open(path, "rb") as file:
                lines = file.read().splitlines()
        except OSError:
            self._names, self._version = {}, None
            return
        names: Dict[int, str] = {}
        for line in lines:
            fields = line.split(b":")
            if len(fields) > 2 and fields[2].isdigit():
                names.setdefault(int(fields[2]), to_text(fields[0]))
        self._names, self._version = names, version
