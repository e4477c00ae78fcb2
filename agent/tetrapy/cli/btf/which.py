# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf which`: the BTF that is used, and why."""

from __future__ import annotations

import argparse
import os
from typing import Dict, List, Sequence, Tuple

from tetrapy.btf.discovery import find_btf
from tetrapy.btf.fallbacks import archive_entry, remedy
from tetrapy.btf.host import Host
from tetrapy.btf.inference import nearest
from tetrapy.btf.source import KIND_ARCHIVE, KIND_INFERRED
from tetrapy.cli.btf.kernel_flags import add_os_release_flag, named_host
from tetrapy.cli.btf.known_kernels import Knowledge, add_archive_flags
from tetrapy.cli.btf.output import WIDTH, counted, print_json, warn, wrapped
from tetrapy.config import sources
from tetrapy.daemon import btf as agent_btf
from tetrapy.errors import BtfNotFoundError, UnsupportedFeatureError
from tetrapy.named import NamedTuple
from tetrapy.visible import printable

DESCRIPTION = """\
Shows each place where tetrapy looks for the BTF of the running kernel, in order, what it finds
there, and what it uses. It is the agent's own search, so flags and TETRAPY_ variables of the agent
count; root is needed to compare with the running kernel. With flags that describe another kernel:
what the archive has for that one. Exit code 1 if there is no BTF.

  tetrapy btf which
  tetrapy btf which --release 6.1.0-50-amd64 --os-release other/os-release --arch arm64
"""
_MAX_LISTED = 5


class Answer(NamedTuple):
    """What is used for a kernel, and the places that were tried before, with their findings.

    `kind` is one of the KIND_ constants of `btf.source`, or empty if there is nothing; `notes` are
    what the agent warns of beyond what it tried; `candidates` are kernels of the archive, one of
    each layout, from which it would be inferred on a host that is not here, nearest first.
    """

    host: Host
    tried: List[Tuple[str, str]]
    kind: str
    origin: str
    notes: Sequence[str] = ()
    candidates: Sequence[str] = ()


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags and arguments."""
    parser.add_argument("--release", default="", metavar="R", help="of another kernel: uname -r")
    add_os_release_flag(parser)
    parser.add_argument("--arch", default="", help="of another kernel: x86_64 or arm64")
    parser.add_argument("--btf", default="", metavar="FILE", help="as the agent's flag")
    parser.add_argument("--bpf-lib", default="", metavar="DIR", help="as the agent's flag")
    parser.add_argument(
        "--btf-inference", default="", metavar="HOW", help="as the agent's flag: auto, archive, off"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    add_archive_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Search; 1 if there is nothing."""
    if options.release or options.os_release or options.arch:
        answer = _elsewhere(named_host(options), Knowledge(options.archive, options.dir))
    else:
        answer = _here(options)
    if options.json:
        print_json({**answer._asdict(), "host": str(answer.host)})
    else:
        _print(answer)
    return 0 if answer.kind else 1


def _here(options: argparse.Namespace) -> Answer:
    """The agent's own search on this host."""
    given = {_flag(name): getattr(options, name) for name in ("btf", "bpf_lib", "btf_inference")}
    given["--btf-archive"] = options.archive
    flags = [word for flag, value in given.items() if value for word in (flag, value)]
    settings = sources.read(flags, os.environ)
    warnings: List[Tuple[str, Dict[str, object]]] = []

    def log(level: str, message: str, **fields: object) -> None:
        if level in {"warn", "warning"}:
            warnings.append((message, fields))

    search = agent_btf.search(settings, log)
    search = search._replace(places=search.places._replace(store=options.dir))
    tried: List[Tuple[str, str]] = []
    try:
        source = find_btf(search, settings.btf, tried)
    except BtfNotFoundError:
        if not tried:
            raise
        kind, origin = "", f"nothing has the BTF of this kernel. {remedy(search.host)}"
        if not os.geteuid():
            try:
                agent_btf.require_programs()
            except UnsupportedFeatureError as err:
                origin = str(err)
        else:
            origin = (
                "without root's rights nothing was found; the kernel's memory may tell more: run it"
                f" as root. {origin[0].upper()}{origin[1:]}"
            )
    else:
        kind, origin = source.kind, source.origin
    found = {finding for _place, finding in tried}
    notes = [_note(*one) for one in warnings if one[1].get("error") not in found]
    return Answer(search.host, tried, kind, origin, notes)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _note(message: str, fields: Dict[str, object]) -> str:
    details = ", ".join(f"{name}: {value}" for name, value in fields.items() if value != "")
    return f"{message.replace('BTF discovery: ', '')} ({details})" if details else message


def _elsewhere(host: Host, known: Knowledge) -> Answer:
    """What the archive has for a kernel that does not run here."""
    number, origin = archive_entry(known.archive, host)
    if number is not None:
        return Answer(host, [], KIND_ARCHIVE, origin)
    tried = [(known.archive_name, origin)]
    candidates = nearest.order(
        host, [pair for pair in known.archive.kernels.items() if f"/{host.arch}/" in pair[0]]
    )
    if not candidates:
        return Answer(host, tried, "", f"no kernel of {host.arch} is known")
    origin = (
        f"from the one of {counted(len(candidates), 'layout')} that passes all checks on that host,"
        " if one does"
    )
    return Answer(
        host, tried, KIND_INFERRED, origin, candidates=[name for _number, name in candidates]
    )


def _print(answer: Answer) -> None:
    print(f"kernel {printable(str(answer.host))}")
    if answer.tried:
        print("\n".join(["", *_places(answer.tried)]))
    for note in answer.notes:
        print("\n".join(wrapped(f"  note: {printable(note)}", " " * 6)))
    if not answer.kind:
        warn(f"Error: {printable(answer.origin)}")
        return
    print(f"used: {answer.kind}, {printable(answer.origin)}")
    for name in answer.candidates[:_MAX_LISTED]:
        print(f"  {printable(name)}")
    if len(answer.candidates) > _MAX_LISTED:
        print(f"  and {len(answer.candidates) - _MAX_LISTED} more, which are farther")


def _places(tried: List[Tuple[str, str]]) -> List[str]:
    """A line each, or two where place and finding are too long for one."""
    rows = [(printable(place), printable(finding)) for place, finding in tried]
    short = [place for place, finding in rows if len(place) + len(finding) + 4 <= WIDTH]
    width = max(map(len, short), default=0)
    lines = []
    for place, finding in rows:
        line = f"  {place:{width}}  {finding}"
        fits = len(line) <= WIDTH and len(place) <= width
        lines += [line] if fits else [f"  {place}", *wrapped(" " * 6 + finding, " " * 6)]
    return lines
