# SPDX-License-Identifier: Apache-2.0
"""The one table of settings: flags, variables, drop-ins, help and documents are derived from it.

Names, types, defaults and meaning are Tetragon's, with tetrapy's own paths.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, Tuple

from tetrapy.config.setting import Setting, Topic
from tetrapy.config.table import events, export, general, kernel, later, policies, servers

TOPICS: Tuple[Topic, ...] = (
    *general.TOPICS,
    *events.TOPICS,
    *export.TOPICS,
    *kernel.TOPICS,
    *policies.TOPICS,
    *servers.TOPICS,
    *later.TOPICS,
)
SETTINGS: Tuple[Setting, ...] = tuple(
    setting for _title, settings in TOPICS for setting in settings
)

# Name or alias -> setting.
BY_NAME: Dict[str, Setting] = {
    name: setting for setting in SETTINGS for name in (setting.name, *setting.aliases)
}

OWN_NAMES: FrozenSet[str] = frozenset(setting.name for setting in SETTINGS)  # without aliases
