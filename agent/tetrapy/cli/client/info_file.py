# SPDX-License-Identifier: Apache-2.0
"""The info file of the running agent, and the address of the API that it tells."""

from __future__ import annotations

import os
from typing import Any, Dict

from tetrapy.errors import TetrapyError
from tetrapy.json_codec import loads
from tetrapy.pidfile import RUN_DIRECTORY

NAME = "tetrapy-info.json"
DEFAULT_ADDRESS = "localhost:54321"
_TETRAGONS = "/var/run/tetragon/tetragon-info.json"
_MAX_FILE = 64 << 20  # bytes


def read_info(path: str = os.path.join(RUN_DIRECTORY, NAME)) -> Dict[str, Any]:
    """What it says. Raises OSError if it cannot be read, TetrapyError for what is no such file."""
    with open(path, "rb") as file:
        content = file.read(_MAX_FILE)
    try:
        info = loads(content)
    except ValueError:
        info = None
    if not isinstance(info, dict):
        raise TetrapyError(f"{path} is no info file")
    return info


def server_address() -> str:
    """Where the agent answers: by our info file, or Tetragon's; else Tetragon's default."""
    for path in (os.path.join(RUN_DIRECTORY, NAME), _TETRAGONS):
        try:
            address = read_info(path).get("server_address")
        except (OSError, TetrapyError):
            continue
        if isinstance(address, str) and address:
            return address
    return DEFAULT_ADDRESS
