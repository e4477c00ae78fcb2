# SPDX-License-Identifier: Apache-2.0
"""The table of settings as text: --help for people, --generate-docs for programs."""

from __future__ import annotations

import textwrap
from typing import Dict, Iterable, List, Tuple

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
    Setting,
)
from tetrapy.config.table import SETTINGS, TOPICS
from tetrapy.config.values import show
from tetrapy.json_codec import dumps

WIDTH = 80

_HEAD = """\
Watches every exec and exit of this machine; writes Tetragon's JSON events.

Usage:
  tetrapy [flags]         the agent, until a signal stops it
  tetrapy config [flags]  the settings in force, and what set each
  tetrapy btf COMMAND     kernels without BTF: which are known, how others are
                          added
  tetrapy policy COMMAND  TracingPolicies: which are loaded, whether a file is
                          right
  tetrapy getevents       events, for people or programs: one of the commands of
                          Tetragon's client, which docs/tetra.md has all
"""
_TAIL = """\
Every flag can be set elsewhere too; what comes first wins:
  the flag           --export-filename /var/log/x.json
  a variable         TETRAPY_EXPORT_FILENAME=/var/log/x.json
  a file of its own  /etc/tetrapy/tetrapy.conf.d/export-filename
  a line of YAML     export-filename: /var/log/x.json
                     in /etc/tetrapy/tetrapy.yaml

tetrapy config --help, tetrapy btf --help and tetrapy policy --help tell more.
Exit codes: 0 stopped by a signal, 1 wrong use, 255 could not start, 70 an error
that nobody expected.
"""
_GENERAL = (
    ("-h, --help", "show this text and exit"),
    ("--version", "show the version and exit"),
)
_PLACEHOLDERS = {
    STRING: "TEXT",
    FILE: "PATH",
    DIRECTORY: "DIR",
    ADDRESS: "ADDRESS",
    LINES: "LINES",
    INT: "N",
    UINT: "N",
    SIZE: "SIZE",
    DURATION: "TIME",
    LIST: "LIST",
    FILES: "PATH",
    MODE: "MODE",
    CGROUP_RATE: "N,TIME",
}


def usage() -> str:
    """The text of --help, at most 80 columns wide."""
    parts = [_HEAD]
    for title, settings in TOPICS:
        rows = [(_flag(one), _meaning(one)) for one in settings if not one.no_effect]
        if rows:
            parts.append(_section(title, rows))
    parts.append(_section("Other", _GENERAL))
    lines = ["Accepted because Tetragon has them, without effect:"]
    for reason, names in without_effect().items():
        lines.append(f"  {reason}")
        lines += _wrapped(", ".join(f"--{name}" for name in names), " " * 6)
    parts.append("\n".join(lines) + "\n")
    parts.append(_TAIL)
    return "\n".join(parts)


def without_effect() -> Dict[str, List[str]]:
    """Why settings have no effect -> their names."""
    groups: Dict[str, List[str]] = {}
    for setting in SETTINGS:
        if setting.no_effect:
            groups.setdefault(setting.no_effect, []).append(setting.name)
    return groups


def placeholder(setting: Setting) -> str:
    """What stands for the value: PATH, or text|json where that can be chosen; empty for a BOOL."""
    if setting.choices and setting.kind != LIST:
        return "|".join(setting.choices)
    return _PLACEHOLDERS.get(setting.kind, "")


def default(setting: Setting) -> str:
    """The default as it is written; empty if it is nothing."""
    return show(setting, setting.default)


def as_yaml() -> str:
    """The document that --generate-docs prints: cobra's, with our flags."""
    lines = ["name: tetrapy", "usage: tetrapy [flags]", "options:"]
    for setting in sorted(SETTINGS):
        lines.append(f"    - name: {setting.name}")
        if setting.short:
            lines.append(f"      shorthand: {setting.short}")
        lines.append(f"      default_value: {dumps(default(setting)).decode()}")
        lines.append(f"      usage: {dumps(setting.help).decode()}")
    return "\n".join(lines) + "\n"


def _flag(setting: Setting) -> str:
    short = f"-{setting.short}, " if setting.short else ""
    if setting.kind == BOOL:
        return f"{short}--{setting.name}" + ("[=false]" if setting.default else "")
    return f"{short}--{setting.name} {placeholder(setting)}"


def _meaning(setting: Setting) -> str:
    text = setting.help
    if setting.choices and setting.kind == LIST:
        text += f"; of {', '.join(setting.choices)}"
    if setting.default not in ("", False, 0, (), None):
        shown = default(setting)
        if setting.kind in {LIST, FILES}:
            shown = shown.replace(",", ", ")  # so that a long one is wrapped
        text += f" (default {shown})"
    return text


def _section(title: str, rows: Iterable[Tuple[str, str]]) -> str:
    lines = [f"{title}:"]
    for flag, meaning in rows:
        lines.append(f"  {flag}")
        lines += _wrapped(meaning, " " * 10)
    return "\n".join(lines) + "\n"


def _wrapped(text: str, indent: str) -> List[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
