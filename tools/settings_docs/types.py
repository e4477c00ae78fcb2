# SPDX-License-Identifier: Apache-2.0
"""agent/tetrapy/config/typed.py: the type of each setting's value, for the type checker."""

from __future__ import annotations

from tetrapy.config.setting import (
    ADDRESS,
    BOOL,
    CGROUP_RATE,
    DIRECTORY,
    DURATION,
    FILE,
    FILES,
    INT,
    LINES,
    LIST,
    MODE,
    SIZE,
    STRING,
    UINT,
)
from tetrapy.config.table import SETTINGS

PATH = "agent/tetrapy/config/typed.py"

_TYPES = {
    **dict.fromkeys((STRING, FILE, DIRECTORY, ADDRESS, LINES), "str"),
    **dict.fromkeys((INT, UINT, SIZE, DURATION, MODE), "int"),
    BOOL: "bool",
    **dict.fromkeys((LIST, FILES), "Tuple[str, ...]"),
    CGROUP_RATE: "Optional[CgroupRate]",
}

_HEAD = '''\
# SPDX-License-Identifier: Apache-2.0
"""The settings as attributes, for the type checker: a name that no setting has is an error of mypy.

Written by `python3 -m tools.settings_docs` from the table of settings; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Optional, Tuple

    from tetrapy.config.cgroup_rate import CgroupRate


class TypedSettings:
    """An attribute for each row of the table, hyphens turned into underscores."""

    if TYPE_CHECKING:
'''


def source() -> str:
    """The module's text."""
    rows = (f"        {one.name.replace('-', '_')}: {_TYPES[one.kind]}\n" for one in SETTINGS)
    return _HEAD + "".join(rows)
