"""Settings from the command line and the environment; the command line wins."""

from __future__ import annotations

import argparse
from typing import Any, Dict, List, Mapping, NoReturn

from tetrapy.config.settings import BOOL, SETTINGS, Settings, merge, parse
from tetrapy.errors import SettingsError
from tetrapy.version import __version__

_EPILOG = """\
tetrapy btf --help tells of kernels without BTF: which are known, and how others are added.
Every flag can also be set by an environment variable: --export-filename is TETRAPY_EXPORT_FILENAME.
Exit codes: 0 stopped by a signal, 1 wrong use, 255 could not start.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def _parser() -> _Parser:
    parser = _Parser(
        prog="tetrapy",
        usage="tetrapy [flags]",
        description="Watches every exec and exit of this machine; writes Tetragon's JSON events.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    group = parser.add_argument_group("flags")
    group.add_argument("-h", "--help", action="help", help="show this text and exit")
    group.add_argument(
        "--version", action="version", version=__version__, help="show the version and exit"
    )
    for setting in SETTINGS:
        names = ["--" + setting.name]
        if setting.short:
            names.insert(0, "-" + setting.short)
        text = setting.help
        if setting.default not in ("", False, 0):
            text += f" (default {setting.default})"
        options: Dict[str, Any] = {"dest": setting.name, "help": text.replace("%", "%%")}
        if setting.kind == BOOL:
            options.update(nargs="?", const="true", metavar="true|false")
        else:
            options.update(metavar=setting.kind)
        group.add_argument(*names, **options)
    return parser


def read(arguments: List[str], environment: Mapping[str, str]) -> Settings:
    """The settings in force.

    Raises SettingsError for an unknown flag or a value that does not parse; SystemExit for --help
    and --version.
    """
    flags, rest = _parser().parse_known_args(arguments)
    if rest:
        what = "flag" if rest[0].startswith("-") else "argument"
        raise SettingsError(f"unknown {what}: {rest[0]}")
    given: Dict[str, Any] = {}
    for setting in SETTINGS:
        text = environment.get(setting.variable)
        if text:  # an empty variable counts as unset
            given[setting.name] = parse(setting, text, setting.variable)
        text = getattr(flags, setting.name)
        if text is not None:
            given[setting.name] = parse(setting, text, "--" + setting.name)
    return merge(given)
