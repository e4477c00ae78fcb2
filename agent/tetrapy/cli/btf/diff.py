# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf diff`: which of the fields that tetrapy reads lie elsewhere in another kernel."""

from __future__ import annotations

import argparse
from typing import Dict, List, Optional

from tetrapy.btf.requirements import AccessPath
from tetrapy.cli.btf.known_kernels import Kernel, Knowledge, add_archive_flags
from tetrapy.cli.btf.output import counted, print_json, table
from tetrapy.named import NamedTuple
from tetrapy.visible import printable

DESCRIPTION = """\
Compares two kernels by what tetrapy reads: offsets in bytes, sizes, enumerators. A and B are
kernels of the archive or of the local store, by the end of their names that is unique, or files
with BTF. Exit codes as diff(1): 0 equal, 1 different, 2 trouble.

  tetrapy btf diff 6.1.0-50-amd64 6.12.107+deb13-amd64
  tetrapy btf diff debian/12/x86_64/6.1.0-50-amd64 /sys/kernel/btf/vmlinux
"""
TROUBLE = 2

EQUAL, DIFFERENT = 0, 1


class Difference(NamedTuple):
    """One query that two kernels answer differently; None is "absent"."""

    group: str
    what: str
    first: Optional[int]
    second: Optional[int]
    unit: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags and arguments."""
    parser.add_argument("first", metavar="A", help="kernel or file")
    parser.add_argument("second", metavar="B", help="kernel or file")
    parser.add_argument("--json", action="store_true", help="for programs")
    add_archive_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Compare; the exit code is diff(1)'s."""
    known = Knowledge(options.archive, options.dir)
    first, second = known.find(options.first), known.find(options.second)
    if first.queries != second.queries:
        known.check_queries()
    differences = compare(first, second)
    if options.json:
        print_json(
            {
                "a": first.name,
                "b": second.name,
                "a_layout": first.layout,
                "b_layout": second.layout,
                "differences": [one._asdict() for one in differences],
            }
        )
    else:
        _print(first, second, differences)
    return DIFFERENT if differences else EQUAL


def compare(first: Kernel, second: Kernel) -> List[Difference]:
    """The queries that two kernels answer differently, in the order of the queries."""
    return [
        _difference(query, one, two)
        for query, one, two in zip(first.queries, first.answers, second.answers)
        if one != two
    ]


def _difference(query: str, first: Optional[int], second: Optional[int]) -> Difference:
    question, _, text = query.partition(" ")
    access = AccessPath.of(text)
    what = access.path.lstrip(".:") or access.root
    unit = ""
    if question == "offset":
        # Only a bitfield starts in the midst of a byte.
        unit = (
            "bit"
            if any(answer is not None and answer % 8 for answer in (first, second))
            else "byte"
        )
        if unit == "byte":
            first, second = (None if answer is None else answer // 8 for answer in (first, second))
    elif question != "enumval":
        what = f"{question} of {what}" if access.path else question
    return Difference(access.root, what, first, second, unit)


def _print(first: Kernel, second: Kernel, differences: List[Difference]) -> None:
    for side, kernel in (("A", first), ("B", second)):
        layout = "a layout of its own" if kernel.layout is None else f"layout {kernel.layout}"
        print(f"{side}  {printable(kernel.name)}  ({layout})")
    if not differences:
        print(f"equal in all of {counted(len(first.queries), 'need')}")
        return
    groups: Dict[str, List[Difference]] = {}
    for one in differences:
        groups.setdefault(one.group, []).append(one)
    # Aligned over all groups, so that the columns stay where they are.
    rows = [
        ("  " + one.what, _cell(one.first), _cell(one.second), "bits" if one.unit == "bit" else "")
        for one in differences
    ]
    lines = iter(table([("offset in bytes", "A", "B", ""), *rows], right=(1, 2)))
    print("\n" + next(lines))
    by_need = dict(zip(differences, lines))
    for group, members in groups.items():
        print(printable(group))
        print("\n".join(printable(by_need[one]) for one in members))
    print(f"{counted(len(differences), 'difference')} in {counted(len(groups), 'type')}")


def _cell(answer: Optional[int]) -> str:
    return "absent" if answer is None else str(answer)
