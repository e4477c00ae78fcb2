# SPDX-License-Identifier: Apache-2.0
"""Guest kernels from the command line: python3 -m tools.guest COMMAND.

list      the supported kernels
prepare   download and make bootable all that tests/vm boots (--short: what `make test` boots)
pin       replace pins that have left the mirror (--newest: all) in tests/vm/kernels.toml
run       boot one kernel with a script: run 6.1 -c 'uname -a' [--file /test/x=HOSTPATH]...
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.errors import BuildError
from tools.guest import kernels, pin, qemu, root


def main() -> int:
    """Exit code: the script's own for `run`; 2 when something could not be had or done."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.action(arguments))
    except BuildError as err:
        print(f"{Path(sys.argv[0]).parent.name}: {err}", file=sys.stderr)
        return 2


def _list(arguments: argparse.Namespace) -> int:
    for kernel in kernels.load():
        marks = " ".join(
            mark for mark, on in (("no BTF", not kernel.btf), ("short", kernel.short)) if on
        )
        print(f"{kernel.name:12}{kernel.release:30}{kernel.suite:20}{marks}".rstrip())
    return 0


def _prepare(arguments: argparse.Namespace) -> int:
    for kernel in kernels.load():
        if kernel.short or not arguments.short:
            print(f"{kernel.name:12}{qemu.image(kernel)}")
            root.build(kernel.arch)
    return 0


def _pin(arguments: argparse.Namespace) -> int:
    changes = pin.update(newest=arguments.newest)
    print("\n".join(changes) or "all pinned versions are on the mirror: nothing changed")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    pairs = (pair.partition("=") for pair in arguments.file)
    result = qemu.run(
        kernels.get(arguments.kernel),
        arguments.c,
        {guest: Path(host) for guest, _, host in pairs},
        smp=arguments.smp,
        memory=arguments.memory,
        append=arguments.append,
        deterministic=arguments.deterministic,
    )
    sys.stdout.write(result.console if arguments.console else result.output)
    if arguments.result:
        for name, content in result.files.items():
            path = arguments.result / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    print(f"wall {result.wall_seconds:.1f} s, cpu {result.cpu_seconds:.1f} s", file=sys.stderr)
    return result.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.guest",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("list").set_defaults(action=_list)
    prepare = commands.add_parser("prepare")
    prepare.add_argument("--short", action="store_true", help="only what `make test` boots")
    prepare.set_defaults(action=_prepare)
    pin_parser = commands.add_parser("pin")
    pin_parser.add_argument("--newest", action="store_true", help="also pins that still can be had")
    pin_parser.set_defaults(action=_pin)
    run = commands.add_parser("run")
    run.add_argument("kernel", help="a name that `list` prints")
    run.add_argument("-c", required=True, metavar="SCRIPT", help="busybox sh, run as root")
    run.add_argument("--file", action="append", default=[], metavar="GUEST=HOST")
    run.add_argument("--result", type=Path, metavar="DIR", help="where the guest's /result goes")
    run.add_argument("--smp", type=int, default=1)
    run.add_argument("--memory", type=int, default=768, metavar="MIB")
    run.add_argument("--append", default="", help="more kernel parameters")
    run.add_argument("--deterministic", action="store_true", help="one instruction, one nanosecond")
    run.add_argument("--console", action="store_true", help="print all that the console showed")
    run.set_defaults(action=_run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
