# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf harvest`: full BTFs out of kernels, packages and collections."""

from __future__ import annotations

import argparse
from typing import Dict, List

from tetrapy.btf.harvest import Options, Progress, Result, Unpackers, harvest
from tetrapy.btf.harvest.result import ALREADY_THERE, DAMAGED, DONE
from tetrapy.cli.btf.output import ProgressBar, table, warn
from tetrapy.cli.btf.pack import add_jobs_flag
from tetrapy.errors import FormatError
from tetrapy.kernel import decompress
from tetrapy.visible import printable

DESCRIPTION = """\
Writes the full BTF of every kernel in the inputs to DIR/ID/VERSION_ID/arch/<uname -r>.btf. An INPUT
is a kernel image (vmlinux, vmlinuz, Image), raw BTF, a .deb or .rpm with a kernel or its debug
information (that needs pahole), a BTFHub file, a symbol file of Volatility 3 (.json), a vmlinux.h,
any of these packed, /sys/kernel/btf (this host), a directory of these, or @FILE with one input a
line. What an earlier run did is not done again. A damaged input is named and left out; the exit
code is 1 then.

  tetrapy btf harvest /sys/kernel/btf --output btfs
  tetrapy btf harvest linux-image-*.deb --id debian --version-id 12 --output btfs
  tetrapy btf harvest btfhub-archive --output btfs --jobs 8
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags and arguments."""
    parser.add_argument("inputs", nargs="+", metavar="INPUT")
    parser.add_argument("--output", required=True, metavar="DIR", help="tree of BTFs to add to")
    add_jobs_flag(parser)
    parser.add_argument("--force", action="store_true", help="do again what is there already")
    parser.add_argument("--modules", action="store_true", help="of this host, the modules' BTF too")
    parser.add_argument("--pahole", default="pahole", metavar="PROGRAM", help="makes BTF of DWARF")
    add_name_flags(parser)


def add_name_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that name a kernel in place of what its image says."""
    parser.add_argument("--id", default="", help="ID of os-release, such as debian")
    parser.add_argument("--version-id", default="", metavar="V", help="VERSION_ID, such as 12")
    parser.add_argument("--arch", default="", help="x86_64 or arm64")
    parser.add_argument("--release", default="", metavar="R", help="what uname -r says there")


def run(options: argparse.Namespace) -> int:
    """Harvest; 1 if an input is damaged."""
    bar = ProgressBar("input")

    def show(progress: Progress) -> None:
        bar.show(progress.done, progress.total, progress.name)

    wanted = Options(
        id=options.id,
        version_id=options.version_id,
        arch=options.arch,
        release=options.release,
        jobs=options.jobs,
        force=options.force,
        modules=options.modules,
        pahole=options.pahole,
    )
    try:
        result = harvest(options.inputs, options.output, wanted, unpackers(), show)
    finally:
        bar.close()
    if not result.outcomes:
        raise FormatError(
            f"no kernel, package or BTF is in {', '.join(map(printable, options.inputs))}"
        )
    _print(result)
    return 0 if result.complete else 1


def unpackers() -> Unpackers:
    """The bundle's decompressors, for what Python cannot read."""
    return Unpackers(decompress.decompressors(), decompress.open_zstd)


def _print(result: Result) -> None:
    for outcome in result.outcomes:
        for note in outcome.notes:
            warn(f"Note: {printable(outcome.name)}: {note}")
        if outcome.state == DAMAGED:
            warn(f"Error: {printable(outcome.name)}: {outcome.error}")
    groups: Dict[str, List[int]] = {}
    for outcome in result.outcomes:
        if outcome.state in {DONE, ALREADY_THERE}:
            counts = groups.setdefault(outcome.key.rpartition("/")[0], [0, 0, 0])
            counts[0 if outcome.state == DONE else 1] += 1
            counts[2] += outcome.size
    rows = [["", "written", "there already", "bytes written"]]
    rows += [[name, *(f"{count:,}" for count in counts)] for name, counts in sorted(groups.items())]
    if groups:
        print("\n".join(table(rows, right=(1, 2, 3))))
    print(result)
