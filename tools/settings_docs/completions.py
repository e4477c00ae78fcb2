# SPDX-License-Identifier: Apache-2.0
"""What a shell completes behind `tetrapy`: flags, their values, commands."""

from __future__ import annotations

from collections.abc import Iterable

from tetrapy.cli.btf.commands import COMMANDS as BTF_COMMANDS
from tetrapy.cli.client import completion
from tetrapy.cli.client.commands import COMMANDS as CLIENT_COMMANDS
from tetrapy.cli.policy.commands import COMMANDS as POLICY_TABLE
from tetrapy.config.setting import BOOL, DIRECTORY, FILE, FILES, LIST, Setting
from tetrapy.config.table import SETTINGS

HEAD = """\
# Completion of tetrapy's command line for {name}.
# Written by `python3 -m tools.settings_docs` from the table of settings. Do not edit.
"""
POLICY_COMMANDS = {one.name: one.help for one in POLICY_TABLE}
# Of one name the row with the most choices: some command takes each form of the output.
_POLICY_FLAGS = list(
    {
        row.name: row
        for row in sorted(
            (flag.row for one in reversed(POLICY_TABLE) for flag in one.flags if not flag.hidden),
            key=lambda row: len(row.choices),
        )
    }.values()
)
COMMANDS = {
    "config": "the settings in force, and what set each",
    "btf": "kernels without BTF: which are known, how others are added",
    "policy": "TracingPolicies: what is loaded, and tools for files of them",
    "help": "all flags",
}
_SHOWN = {one.name: one.help for one in CLIENT_COMMANDS if len(one.words) == 1 and not one.hidden}
_CLIENT = [
    name for one in CLIENT_COMMANDS if len(one.words) == 1 for name in (one.words[0], *one.aliases)
]

_BASH = """\
@CLIENT_FUNCTION@
_tetrapy() {
    case ${COMP_WORDS[1]} in
        @CLIENT@)
            if [[ $COMP_CWORD -gt 1 ]]; then
                _tetrapy_client
                return
            fi
            ;;
    esac
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local value=
    # bash takes the = of --flag=value for a word of its own.
    if [[ $current == = ]]; then
        current= value=1
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]} value=1
    fi
    if [[ ${COMP_WORDS[1]} == policy && ( $previous == -o || $previous == --output ) ]]; then
        mapfile -t COMPREPLY < <(compgen -W '@POLICY_FORMS@' -- "$current")
        return
    fi
    case $previous in
@CASES@
    esac
    if [[ -n $value && @SWITCHES@ == *" $previous "* ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$current")
    elif [[ ${COMP_WORDS[1]} == btf && COMP_CWORD -gt 1 ]]; then
        [[ $COMP_CWORD -gt 2 ]] ||
            mapfile -t COMPREPLY < <(compgen -W '@BTF@' -- "$current")
    elif [[ ${COMP_WORDS[1]} == policy && COMP_CWORD -eq 2 ]]; then
        mapfile -t COMPREPLY < <(compgen -W '@POLICY@' -- "$current")
    elif [[ ${COMP_WORDS[1]} == policy && COMP_CWORD -gt 2 ]]; then
        if [[ $current == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W '@POLICY_FLAGS@ --help' -- "$current")
        else
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
        fi
    elif [[ $COMP_CWORD -eq 1 && $current != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '@COMMANDS@' -- "$current")
    elif [[ ${COMP_WORDS[1]} == config ]]; then
        mapfile -t COMPREPLY < <(compgen -W '--changed --output @FLAGS@' -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -W '@FLAGS@' -- "$current")
    fi
}
complete -F _tetrapy tetrapy tetrapy.pyz
"""


def bash() -> str:
    """completions/tetrapy.bash."""
    cases = [_case([f"--{one.name}"], _words(one.choices)) for one in SETTINGS if one.choices]
    for kind, action in (((FILE, FILES), "-f"), ((DIRECTORY,), "-d")):
        cases.append(_case([f"--{one.name}" for one in SETTINGS if one.kind in kind], action))
    cases.append(_case(["--output", "-o"], _words(["text", "json"])))
    cases.append(_case([f"--{one.name}" for one in SETTINGS if not _completed(one)], ""))
    switches = " ".join(f"--{one.name}" for one in SETTINGS if one.kind == BOOL)
    flags = " ".join(f"--{one.name}" for one in SETTINGS) + " --help --version"
    text = HEAD.format(name="bash") + _BASH
    for name, value in (
        ("@CLIENT_FUNCTION@", completion.bash_function("_tetrapy_client")),
        ("@CLIENT@", " | ".join(_CLIENT)),
        ("@CASES@", "\n".join(cases)),
        ("@SWITCHES@", f"' {switches} '"),
        ("@BTF@", " ".join(BTF_COMMANDS)),
        ("@COMMANDS@", " ".join([*COMMANDS, *_SHOWN])),
        ("@POLICY@", " ".join(POLICY_COMMANDS)),
        ("@POLICY_FORMS@", " ".join(next(one.choices for one in _POLICY_FLAGS if one.choices))),
        ("@POLICY_FLAGS@", " ".join(f"--{one.name}" for one in _POLICY_FLAGS)),
        ("@FLAGS@", flags),
    ):
        text = text.replace(name, value)
    return text


def zsh() -> str:
    """completions/_tetrapy."""
    lines = [
        "#compdef tetrapy tetrapy.pyz",
        HEAD.format(name="zsh") + completion.zsh_function("_tetrapy_client") + "_tetrapy() {",
        "    local -a flags commands btf_commands policy_commands",
        "    flags=(",
        *(f"        {_quoted(_zsh_spec(one))}" for one in SETTINGS),
        "        '(- *)'{-h,--help}'[show all flags and exit]'",
        "        '(- *)--version[show the version and exit]'",
        "    )",
        "    commands=(",
        *(f"        {_quoted(f'{name}:{text}')}" for name, text in {**COMMANDS, **_SHOWN}.items()),
        "    )",
        "    btf_commands=(",
        *(f"        {_quoted(f'{n}:{text}')}" for n, (_module, text) in BTF_COMMANDS.items()),
        "    )",
        "    policy_commands=(",
        *(f"        {_quoted(f'{name}:{text}')}" for name, text in POLICY_COMMANDS.items()),
        "    )",
        f"    if [[ $words[2] == ({'|'.join(_CLIENT)}) ]] && ((CURRENT > 2)); then",
        "        _tetrapy_client",
        "    elif [[ $words[2] == btf ]] && ((CURRENT > 2)); then",
        "        ((CURRENT > 3)) || _describe command btf_commands",
        "    elif [[ $words[2] == policy ]] && ((CURRENT > 2)); then",
        "        if ((CURRENT == 3)); then",
        "            _describe command policy_commands",
        "        else",
        "            _arguments '*:file:_files' \\",
        *(f"                {_quoted(_zsh_spec(one))} \\" for one in _POLICY_FLAGS),
        "                '--help[show how it is used]'",
        "        fi",
        "    elif ((CURRENT == 2)) && [[ $words[2] != -* ]]; then",
        "        _describe command commands",
        "    elif [[ $words[2] == config ]]; then",
        "        _arguments '1:command:(config)' '--changed[leave out defaults]' \\",
        "            '(-o --output)'{-o,--output=}'[form]:form:(text json)' $flags",
        "    else",
        "        _arguments $flags",
        "    fi",
        "}",
        '_tetrapy "$@"',
    ]
    return "\n".join(lines) + "\n"


def fish() -> str:
    """completions/tetrapy.fish."""
    none = "not __fish_seen_subcommand_from " + " ".join([*COMMANDS, *_SHOWN])
    lines = [HEAD.format(name="fish").rstrip(), "complete -c tetrapy -f"]
    lines += [
        f"complete -c tetrapy -n {_quoted(none)} -a {name} -d {_quoted(text)}"
        for name, text in COMMANDS.items()
    ]
    lines += [
        f"complete -c tetrapy -n '__fish_seen_subcommand_from btf' -a {name} -d {_quoted(text)}"
        for name, (_module, text) in BTF_COMMANDS.items()
    ]
    policy = "complete -c tetrapy -n '__fish_seen_subcommand_from policy'"
    lines += [f"{policy} -a {name} -d {_quoted(text)}" for name, text in POLICY_COMMANDS.items()]
    lines.append(f"{policy} -F")
    lines += [_fish_line(one).replace("complete -c tetrapy", policy, 1) for one in _POLICY_FLAGS]
    config = "complete -c tetrapy -n '__fish_seen_subcommand_from config'"
    lines += [
        f"{config} -l changed -d 'leave out defaults'",
        f"{config} -l output -s o -x -a 'text json' -d 'form'",
        "complete -c tetrapy -l help -s h -d 'show all flags and exit'",
        "complete -c tetrapy -l version -d 'show the version and exit'",
        *(_fish_line(one) for one in SETTINGS),
        *completion.fish_lines("tetrapy"),
    ]
    return "\n".join(lines) + "\n"


def _completed(setting: Setting) -> bool:
    return setting.kind in {BOOL, FILE, FILES, DIRECTORY} or bool(setting.choices)


def _words(words: Iterable[str]) -> str:
    return f"-W '{' '.join(words)}'"


def _case(flags: Iterable[str], action: str) -> str:
    """What completes the values of flags: words, files, directories, or nothing."""
    lines = ["    " + " | ".join(flags) + ")"]
    if action in {"-f", "-d"}:
        lines.append("        compopt -o filenames")
    if action:
        lines.append(f'        mapfile -t COMPREPLY < <(compgen {action} -- "$current")')
    return "\n".join([*lines, "        return", "        ;;"])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _zsh_spec(setting: Setting) -> str:
    text = setting.help.replace("[", "\\[").replace("]", "\\]")
    short = f"(-{setting.short} --{setting.name})" if setting.short else ""
    if setting.kind == BOOL:
        return f"{short}--{setting.name}=-[{text}]::value:(true false)"
    if setting.choices and setting.kind != LIST:
        action = f"({' '.join(setting.choices)})"
    else:
        action = {FILE: "_files", FILES: "_files", DIRECTORY: "_files -/"}.get(setting.kind, "")
    return f"--{setting.name}=[{text}]:{setting.kind}:{action}"


def _fish_line(setting: Setting) -> str:
    if setting.kind == BOOL:
        how = ""
    elif setting.choices:
        how = f" -x -a {_quoted(' '.join(setting.choices))}"
    elif setting.kind in {FILE, FILES}:
        how = " -r -F"
    elif setting.kind == DIRECTORY:
        how = " -x -a '(__fish_complete_directories)'"
    else:
        how = " -x"
    short = f" -s {setting.short}" if setting.short else ""
    return f"complete -c tetrapy -l {setting.name}{short}{how} -d {_quoted(setting.help)}"
