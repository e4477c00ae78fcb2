# SPDX-License-Identifier: Apache-2.0
"""The documents: prose from the files beside this one, tables from the settings."""

from __future__ import annotations

from pathlib import Path

from tetrapy.config.help import default, placeholder, without_effect
from tetrapy.config.setting import BOOL, LIST, Setting
from tetrapy.config.table import SETTINGS, TOPICS
from tools.settings_docs import completions, types
from tools.settings_docs.roff import roff, sentence

HERE = Path(__file__).resolve().parent


def pages() -> dict[str, str]:
    """Path below the repository -> content, of every document that is generated."""
    return {
        "docs/configuration.md": markdown(),
        "docs/tetrapy.8": manual(),
        "completions/tetrapy.bash": completions.bash(),
        "completions/_tetrapy": completions.zsh(),
        "completions/tetrapy.fish": completions.fish(),
    }


def sources() -> dict[str, str]:
    """Path -> content of the Python that is generated."""
    return {types.PATH: types.source()}


def markdown() -> str:
    """docs/configuration.md."""
    topics = []
    for title, settings in TOPICS:
        rows = [_row(one) for one in settings if not one.no_effect]
        if rows:
            head = ["| setting | default | meaning |", "|---|---|---|"]
            topics.append("\n".join([f"### {title}", *head, *rows]) + "\n")
    return _filled("configuration.md", "\n".join(topics), _ineffective_table(), _alias_table())


def manual() -> str:
    """docs/tetrapy.8, in the macros of man(7)."""
    topics = []
    for title, settings in TOPICS:
        shown = [one for one in settings if not one.no_effect]
        if shown:
            topics += [f'.SS "{title}"', *(_entry(one) for one in shown)]
    ineffective = []
    for reason, names in without_effect().items():
        flags = ", ".join(f"\\fB{roff('--' + name)}\\fR" for name in names)
        ineffective += [".TP", flags, roff(sentence("No effect " + reason))]
    return _filled("tetrapy.8", "\n".join(topics), "\n".join(ineffective), "")


def _filled(template: str, settings: str, ineffective: str, aliases: str) -> str:
    text = (HERE / template).read_text()
    for name, value in (
        ("@SETTINGS@", settings),
        ("@WITHOUT_EFFECT@", ineffective),
        ("@ALIASES@", aliases),
    ):
        text = text.replace(name, value)
    return text


def _row(setting: Setting) -> str:
    value = "" if setting.kind == BOOL else f" {placeholder(setting)}"
    shown = default(setting)
    meaning = setting.help
    if setting.kind == LIST and setting.choices:
        meaning += f"; of {', '.join(setting.choices)}"
    if setting.own:
        meaning += ". *tetrapy's own*"
    flag = _cell(f"--{setting.name}{value}")
    return f"| `{flag}` | {f'`{shown}`' if shown else ''} | {_cell(meaning)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*****", "`*****`").replace("<", "&lt;")


def _ineffective_table() -> str:
    rows = ["| setting | default | meaning | no effect |", "|---|---|---|---|"]
    for setting in SETTINGS:
        if setting.no_effect:
            shown = f"`{default(setting)}`" if default(setting) else ""
            cells = (f"`--{setting.name}`", shown, _cell(setting.help), setting.no_effect)
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _alias_table() -> str:
    rows = ["| setting | other name |", "|---|---|"]
    for setting in SETTINGS:
        rows += [f"| `{setting.name}` | `{alias}` |" for alias in setting.aliases]
    return "\n".join(rows) + "\n"


def _entry(setting: Setting) -> str:
    short = f"\\fB\\-{setting.short}\\fR, " if setting.short else ""
    value = placeholder(setting)
    # Words that can be chosen are written as they stand, what stands for a value is not.
    value = f" \\f{'B' if setting.choices else 'I'}{roff(value)}\\fR" if value else ""
    if setting.kind == BOOL and setting.default:
        value = "[\\fB=false\\fR]"
    text = setting.help
    if setting.kind == LIST and setting.choices:
        text += f"; of {', '.join(setting.choices)}"
    shown = default(setting)
    if shown not in {"", "0", "0s", "false"}:
        text += f" (default {shown})"
    return f".TP\n{short}\\fB{roff('--' + setting.name)}\\fR{value}\n{roff(sentence(text))}"
