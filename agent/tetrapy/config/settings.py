# SPDX-License-Identifier: Apache-2.0
"""The settings in force: values, what set each, and what there is to tell about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from tetrapy.config.setting import CGROUP_RATE, DURATION, MODE, Setting
from tetrapy.config.table import SETTINGS
from tetrapy.config.typed import TypedSettings
from tetrapy.config.values import show
from tetrapy.named import NamedTuple

__all__ = ["DEFAULT", "SETTINGS", "Note", "Setting", "Settings", "not_yet"]

DEFAULT = "default"


class Note(NamedTuple):
    """Something noticed while settings were read, to be logged: level, message and keys."""

    level: str
    message: str
    fields: Mapping[str, str]


class Settings(TypedSettings):
    """An attribute for each row of the table, hyphens turned into underscores."""

    def __init__(
        self,
        values: Dict[str, Any],
        sources: Optional[Dict[str, str]] = None,
        notes: Sequence[Note] = (),
    ) -> None:
        """`values`: name -> value, for every setting; `sources`: what set those that are set."""
        self._values = values
        self._sources = sources or {}
        self.notes = tuple(notes)

    if not TYPE_CHECKING:  # which then knows the attributes of TypedSettings, and no others

        def __getattr__(self, name: str) -> Any:
            try:
                return self._values[name.replace("_", "-")]
            except KeyError:
                raise AttributeError(name) from None

    def items(self) -> Dict[str, Any]:
        """Name -> value of every setting."""
        return dict(self._values)

    def logged(self) -> Dict[str, Any]:
        """Name -> value for a log, in which durations and sizes are texts as people write them."""
        return {
            setting.name: show(setting, self._values[setting.name])
            if setting.kind in (MODE, DURATION, CGROUP_RATE)
            else self._values[setting.name]
            for setting in SETTINGS
        }

    def source(self, name: str) -> str:
        """What set it: "--debug", "TETRAPY_DEBUG", a path, or "default"."""
        if name not in self._values:
            raise KeyError(name)
        return self._sources.get(name, DEFAULT)


def defaults() -> Dict[str, Any]:
    """Name -> default of every setting."""
    return {setting.name: setting.default for setting in SETTINGS}


def not_yet(settings: Settings) -> List[str]:
    """A sentence for each setting that is set to something else than its default in vain."""
    values = settings.items()
    return [
        f"--{setting.name} has no effect {setting.no_effect}"
        for setting in SETTINGS
        if setting.no_effect and values[setting.name] != setting.default
    ]
