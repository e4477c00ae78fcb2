# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf pack`: full BTFs in, an archive out."""

from __future__ import annotations

import argparse
import os
import re
import resource
import time
from typing import Tuple

from tetrapy.btf import requirements
from tetrapy.btf.files import replace_file
from tetrapy.btf.packing import Packed, answers_of_all, find_sources, is_witness, shard
from tetrapy.cli.btf.known_kernels import Knowledge
from tetrapy.cli.btf.output import ProgressBar, counted, warn
from tetrapy.errors import ArchiveError, SettingsError
from tetrapy.visible import printable

DESCRIPTION = """\
Makes an archive of full BTFs. Each DIR has BTFHub's layout, ID/VERSION_ID/arch/<uname -r>.btf,
.btf.xz or .btf.tar.xz, as `tetrapy btf harvest` makes it. BTFs elsewhere below DIR do not get into
the archive, but count for the check at the end: each field that BPF programs cannot do without
must be in some kernel of each architecture; with --objects, each that they read.

  tetrapy btf pack btfhub-archive --output archive.xz
  tetrapy btf pack btfhub-archive --shard 3/16 --output part-3.xz    one of 16 machines
  tetrapy btf merge part-*.xz --output archive.xz                    and then
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags and arguments."""
    parser.add_argument("directories", nargs="+", metavar="DIR", help="tree of full BTFs")
    add_output_flags(parser)
    add_jobs_flag(parser)
    parser.add_argument(
        "--shard", default="", metavar="I/N", help="part I, from 0, of N parts; implies --partial"
    )
    parser.add_argument(
        "--objects", default="", metavar="DIR", help="*.bpf.o of another release than this"
    )


def add_jobs_flag(parser: argparse.ArgumentParser) -> None:
    """The flag for work in parallel; 0 stands for a process a CPU."""
    parser.add_argument(
        "--jobs", type=_jobs, default=0, metavar="N", help="processes (default: one a CPU)"
    )


def _jobs(text: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes")
    return int(text)


def add_output_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of what writes an archive."""
    parser.add_argument("--output", required=True, metavar="FILE", help="the archive to write")
    parser.add_argument(
        "--partial", action="store_true", help="leave out the check; for parts of a whole"
    )


def run(options: argparse.Namespace) -> int:
    """Pack; 1 if a BTF is damaged, in which case the archive has the others."""
    queries = Knowledge(objects=options.objects).queries
    sources = find_sources(options.directories)
    if all(is_witness(source.key) for source in sources):
        raise SettingsError(
            f"no ID/VERSION_ID/arch/<uname -r>.btf (.btf.xz, .btf.tar.xz) below"
            f" {', '.join(map(printable, options.directories))}; {len(sources)} BTFs elsewhere"
        )
    if options.shard:
        sources = shard(sources, *parse_shard(options.shard))
    jobs = options.jobs or len(os.sched_getaffinity(0))
    bar = ProgressBar("kernel")
    began = time.monotonic()
    try:
        packed = answers_of_all(sources, queries, jobs, bar.show)
    finally:
        bar.close()
    took = time.monotonic() - began
    for source, error in packed.failed:
        warn(f"Error: {printable(source.path)}: {error}")
    write(packed, options.output, Knowledge(), partial=options.partial or bool(options.shard))
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    rate = len(sources) / max(spent.ru_utime + spent.ru_stime, 1e-3)
    print(
        f"{counted(len(sources), 'BTF')} in {took:.1f} s, {counted(jobs, 'process', 'processes')}:"
        f" {rate:.1f} kernels per second of a core's time"
    )
    return 1 if packed.failed else 0


def parse_shard(text: str) -> Tuple[int, int]:
    """`3/16` as numbers; SettingsError for anything else."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    number, count = map(int, match.groups()) if match else (0, 0)
    if number >= count:
        raise SettingsError(f"--shard {printable(text)}: I/N with I from 0 to N-1 is wanted")
    return number, count


def write(packed: Packed, output: str, known: Knowledge, *, partial: bool) -> None:
    """Check the whole and write the archive; say what is in it.  `known` has this release's
    queries.

    Raises ArchiveError when a query has no answer, and writes nothing then.
    """
    if not packed.kernels and not partial:
        raise ArchiveError("there is no kernel to put into an archive")
    if not partial:
        _check(packed, known)
    archive = packed.archive(partial=partial)
    replace_file(output, archive)
    kernels, layouts = len(packed.kernels), len(set(packed.kernels.values()))
    witnesses = len(packed.answers) - kernels
    print(
        f"{printable(output)}: {counted(kernels, 'kernel')}, {counted(layouts, 'layout')},"
        f" {len(archive):,} bytes, {len(archive) / max(kernels, 1):.1f} a kernel"
    )
    if witnesses:
        where = "carried along for merge's check" if partial else "not packed, but checked"
        print(f"{counted(witnesses, 'BTF')} elsewhere than ID/VERSION_ID/arch/: {where}")


def _check(packed: Packed, known: Knowledge) -> None:
    """Raise ArchiveError when a query has no answer that programs cannot do without."""
    lacking = packed.unanswered()
    missing = lacking
    if packed.queries == known.queries.names:
        # The programs of a release were held against old and new kernels when it was made; of
        # programs in development nothing is known.
        missing = packed.missing(requirements.optional_accesses(known.objects))
    if missing:
        raise ArchiveError(
            "these needs have an answer in no kernel of an architecture, so the programs would be"
            " without effect there (misspelt? an int for the kernel's enum?); --partial packs"
            " nevertheless:\n  " + "\n  ".join(missing)
        )
    if lacking:
        warn(
            "Note: what no kernel here has, programs do without on these:\n  "
            + "\n  ".join(lacking)
        )
