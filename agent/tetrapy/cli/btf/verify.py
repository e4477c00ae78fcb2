# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf verify`: whether a BTF can serve this release."""

from __future__ import annotations

import argparse
from typing import Any, Dict, FrozenSet, List

from tetrapy.btf import requirements
from tetrapy.btf.requirements import AccessPath
from tetrapy.cli.btf.known_kernels import Kernel, Knowledge, add_archive_flags
from tetrapy.cli.btf.output import counted, error_text, print_json, warn, wrapped
from tetrapy.errors import FormatError, LayoutError
from tetrapy.visible import printable

DESCRIPTION = """\
Looks up in each BTF all that tetrapy's BPF programs read. A FILE is raw BTF, an ELF file with a
.BTF section (vmlinux), either of these packed by xz, or a BTFHub file (.btf.tar.xz); BTF that was
cut down to what tetrapy reads is good too. Exit code 1 if one of them cannot serve.

  tetrapy btf verify /sys/kernel/btf/vmlinux
  tetrapy btf verify --live FILE          is it that of the running kernel? (root)
"""
_MAX_LISTED = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags and arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument(
        "--live", action="store_true", help="compare it with the running kernel too (root)"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    add_archive_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Verify all files; 1 if one cannot serve."""
    known = Knowledge(options.archive, options.dir)
    optional_accesses = requirements.optional_accesses(known.objects)
    reports: List[Dict[str, Any]] = []
    for path in options.files:
        report: Dict[str, Any] = {"file": path}
        try:
            kernel = known.file(path)
        except (FormatError, LayoutError) as err:
            report.update(serves=False, error=str(err))
        except OSError as err:
            report.update(serves=False, error=error_text(err))
        else:
            report.update(_validate(kernel, known, optional_accesses))
            if options.live and report["serves"]:
                report.update(_compare(kernel, known, optional_accesses))
        reports.append(report)
        if not options.json:
            _print(report, known)
    if options.json:
        print_json(reports)
    return 0 if all(report["serves"] for report in reports) else 1


def _validate(
    kernel: Kernel, known: Knowledge, optional_accesses: FrozenSet[AccessPath]
) -> Dict[str, Any]:
    by_query = dict(zip(kernel.queries, kernel.answers))
    missing = requirements.missing(kernel.queries, kernel.answers, optional_accesses)
    absent = [
        query for query, answer in by_query.items() if answer is None and query not in missing
    ]
    return {
        "serves": not missing,
        "needs": len(by_query),
        "answers": len(by_query) - len(missing) - len(absent),
        "missing": missing,
        "absent": absent,
        "layout": kernel.layout,
        "kernels": [] if kernel.layout is None else known.kernels_of(kernel.layout),
    }


def _compare(
    kernel: Kernel, known: Knowledge, optional_accesses: FrozenSet[AccessPath]
) -> Dict[str, Any]:
    """Hold the answers against the running kernel; KernelError if that is not possible here."""
    from tetrapy.daemon.btf import open_prober

    with open_prober(
        known.queries, requirements.optional(kernel.queries, optional_accesses)
    ) as prober:
        found = prober.check(kernel.answers)
    # The agent would use it without what is doubtful; who asks is to know.
    contradicted = [*found.failed, *found.doubtful]
    return {"serves": not contradicted, "contradicted": contradicted, "unproven": found.unproven}


def _print(report: Dict[str, Any], known: Knowledge) -> None:
    name = printable(report["file"])
    if "error" in report:
        warn(f"Error: {report['error']}")
        return
    if report["serves"]:
        live = ", is the running kernel's" if "contradicted" in report else ""
        answers = f"{report['answers']} of {counted(report['needs'], 'need')}"
        print(f"{name}: serves, answers {answers}{live}")
    elif report.get("contradicted"):
        print(f"{name}: IS NOT THE RUNNING KERNEL'S")
    else:
        print(f"{name}: CANNOT SERVE, lacks {counted(len(report['missing']), 'need')}")
    for query in report["missing"]:
        print(f"  lacks   {query}")
    for answer in report.get("contradicted", ()):
        print(f"  wrong   {answer}")
    for query in report.get("unproven", ()):
        print(f"  open    {query}  (nothing on this host can tell)")
    for query in report["absent"]:
        print(f"  absent  {query}  (programs do without)")
    print("\n".join(wrapped(f"  {_equal(report, known)}", " " * 4)))


def _equal(report: Dict[str, Any], known: Knowledge) -> str:
    kernels = report["kernels"]
    if not kernels:
        return f"layout  is no kernel's of {known.archive_name}"
    shown = ", ".join(map(printable, kernels[:_MAX_LISTED]))
    more = f" and {len(kernels) - _MAX_LISTED} more" if len(kernels) > _MAX_LISTED else ""
    return f"layout  {report['layout']} of {known.archive_name}: {shown}{more}"
