# SPDX-License-Identifier: Apache-2.0
"""`completion SHELL`: what a shell completes behind a command, out of the table of commands."""

from __future__ import annotations

from typing import Callable, Dict, Iterable, List, Sequence

from tetrapy.cli.client.arguments import Values
from tetrapy.cli.client.command import Command, Flag
from tetrapy.cli.client.commands import COMMANDS
from tetrapy.cli.client.flags import GLOBAL
from tetrapy.cli.client.help import meaning, placeholder
from tetrapy.cli.config import write
from tetrapy.config.setting import BOOL, FILE, Setting
from tetrapy.errors import SettingsError

_BASH = """\
@FUNCTION@() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command= words= at
    # bash takes the = of --flag=value for a word of its own.
    if [[ $current == = ]]; then
        current=
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((at = 1; at < COMP_CWORD; at++)); do
        case "$command ${COMP_WORDS[at]}" in
@COMMANDS@
        esac
    done
    case "$command $previous" in
@VALUES@
    esac
    case $command in
@WORDS@
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words @FLAGS@" -- "$current")
}
"""

_ZSH = """\
@FUNCTION@() {
    local command= word
    for word in ${words[2,CURRENT-1]}; do
        case "$command $word" in
@COMMANDS@
        esac
    done
    case $command in
@WORDS@
    esac
}
"""


def run(_options: Values, arguments: List[str]) -> int:
    """Print the script for a shell; returns the exit code."""
    shell = arguments[0]
    if shell not in SCRIPTS:
        raise SettingsError(f"there are scripts for {', '.join(SCRIPTS)}, not for {shell}")
    return write(SCRIPTS[shell]())


def bash_function(name: str) -> str:
    """A function of bash that completes what stands behind the program's name."""
    return _filled(
        _BASH,
        name,
        "\n".join(_cases("            ")),
        "\n".join(_bash_values()),
        "\n".join(f"        '{one.name}') words='{_bash_words(one)}' ;;" for one in _TOP),
    )


def zsh_function(name: str) -> str:
    """A function of zsh that completes what stands behind the program's name."""
    words = []
    for one in _TOP:
        words.append(f"        '{one.name}')")
        inner = _inner(one)
        if inner:
            words += ["            local -a commands=("]
            words += [f"                {_quoted(f'{c.words[-1]}:{c.help}')}" for c in inner]
            words += ["            )", "            _describe command commands"]
        words += [f"            _arguments {_quoted('*:file:_files')} \\"]
        words += [f"                {_zsh_spec(flag.row)} \\" for flag in _flags(one)]
        words += ["                '(- *)'{-h,--help}'[show the help and exit]'", "            ;;"]
    return _filled(_ZSH, name, "\n".join(_cases("            ")), "", "\n".join(words))


def fish_lines(program: str) -> List[str]:
    """Lines of fish that complete the commands of a program."""
    lines = []
    for one in COMMANDS:
        if one.hidden:
            continue
        names = [other.words[-1] for other in _inner(_parent(one))]
        seen = [f"__fish_seen_subcommand_from {word}" for word in one.words[:-1]]
        condition = " ; and ".join([*seen, f"not __fish_seen_subcommand_from {' '.join(names)}"])
        lines.append(
            f"complete -c {program} -f -n {_quoted(condition)} -a {one.words[-1]}"
            f" -d {_quoted(one.help)}"
        )
        condition = " ; and ".join(f"__fish_seen_subcommand_from {word}" for word in one.words)
        lines += [
            f"complete -c {program} -n {_quoted(condition)}{_fish_flag(flag.row)}"
            for flag in one.flags
            if not flag.hidden
        ]
    return lines


def _bash() -> str:
    return bash_function("_tetra") + "complete -F _tetra tetra\n"


def _zsh() -> str:
    return "#compdef tetra\n" + zsh_function("_tetra") + "compdef _tetra tetra\n"


def _fish() -> str:
    flags = [f"complete -c tetra{_fish_flag(flag.row)}" for flag in GLOBAL]
    return "\n".join([*fish_lines("tetra"), *flags]) + "\n"


SCRIPTS: Dict[str, Callable[[], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}

_ROOT = Command((), "")
_TOP: Sequence[Command] = (_ROOT, *COMMANDS)


def _parent(command: Command) -> Command:
    return next(one for one in _TOP if one.words == command.words[:-1])


def _inner(command: Command) -> List[Command]:
    """The commands of a group that are shown."""
    return [
        one for one in COMMANDS if one.words and one.words[:-1] == command.words and not one.hidden
    ]


def _flags(command: Command) -> List[Flag]:
    return [flag for flag in (*command.flags, *GLOBAL) if not flag.hidden]


def _cases(indent: str) -> Iterable[str]:
    """From a command and the next word to the command that both are."""
    for one in COMMANDS:
        parent = " ".join(one.words[:-1])
        names = [f"'{parent} {name}'" for name in (one.words[-1], *one.aliases)]
        yield f"{indent}{' | '.join(names)}) command='{one.name}' ;;"


def _bash_values() -> Iterable[str]:
    for one in _TOP:
        for flag in one.flags if one.words else GLOBAL:
            row = flag.row
            if row.kind == BOOL or flag.hidden:
                continue
            spelt = [f"--{row.name}", *([f"-{row.short}"] if row.short else [])]
            # Flags of all commands stand behind each of them.
            names = [f"'{one.name} {name}'" if one.words else f"*' {name}'" for name in spelt]
            yield f"        {' | '.join(names)})"
            if row.kind == FILE:
                yield "            compopt -o filenames"
                yield '            mapfile -t COMPREPLY < <(compgen -f -- "$current")'
            elif row.choices:
                words = " ".join(row.choices)
                yield f"            mapfile -t COMPREPLY < <(compgen -W '{words}' -- \"$current\")"
            yield "            return"
            yield "            ;;"


def _bash_words(command: Command) -> str:
    inner = [one.words[-1] for one in _inner(command)]
    own = [f"--{flag.row.name}" for flag in command.flags if not flag.hidden]
    return " ".join([*inner, *own])


def _filled(template: str, name: str, commands: str, values: str, words: str) -> str:
    flags = " ".join([f"--{flag.row.name}" for flag in GLOBAL] + ["--help"])
    for place, text in (
        ("@FUNCTION@", name),
        ("@COMMANDS@", commands),
        ("@VALUES@", values),
        ("@WORDS@", words),
        ("@FLAGS@", flags),
    ):
        template = template.replace(place, text)
    return template


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _zsh_spec(row: Setting) -> str:
    text = meaning(row).replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    if row.kind == BOOL:
        return _quoted(f"--{row.name}[{text}]")
    action = "_files" if row.kind == FILE else f"({' '.join(row.choices)})" if row.choices else ""
    return _quoted(f"--{row.name}=[{text}]:{placeholder(row).lower()}:{action}")


def _fish_flag(row: Setting) -> str:
    how = ""
    if row.kind == FILE:
        how = " -r -F"
    elif row.kind != BOOL:
        how = f" -x -a {_quoted(' '.join(row.choices))}" if row.choices else " -x"
    short = f" -s {row.short}" if row.short else ""
    return f" -l {row.name}{short}{how} -d {_quoted(row.help)}"
