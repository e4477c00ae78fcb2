# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy check`: files of policies by the rules, and by kernels that are named."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from tetrapy.cli.btf.output import counted, error_text, warn
from tetrapy.cli.client.arguments import Values
from tetrapy.cli.config import write
from tetrapy.cli.policy.kernel import Kernel, kernel_of
from tetrapy.cli.policy.on_kernel import examine
from tetrapy.cli.policy.supported import unsupported
from tetrapy.daemon.policy_library import policy_text
from tetrapy.errors import FormatError, PolicyError, SettingsError
from tetrapy.json_codec import dumps
from tetrapy.policy.later import later
from tetrapy.policy.names import SECTIONS
from tetrapy.policy.problems import Problem
from tetrapy.policy.read import Read, read_policy
from tetrapy.visible import printable

EXIT_OK, EXIT_FOUND, EXIT_TROUBLE = 0, 1, 2
_SUFFIXES = (".yaml", ".yml", ".json")
_MAX_FILES = 10_000  # below directories
_POLICY = re.compile(rb"""^[{ \t]*["']?kind["']?\s*:\s*["']?TracingPolicy""", re.MULTILINE)
_IN_JSON = re.compile(rb'"kind"\s*:\s*"TracingPolicy')
_LOOKED_AT = 1 << 20  # bytes: a policy is not larger

_SINGULAR = {
    "kprobes": "kprobe",
    "fentries": "fentry",
    "tracepoints": "tracepoint",
    "uprobes": "uprobe",
    "usdts": "usdt",
    "lsmhooks": "lsmhook",
}

Report = Dict[str, Any]


def run(options: Values, paths: List[str]) -> int:
    """Check files and directories; returns the exit code. Raises SettingsError."""
    form = "json" if options["json"] else options["output"]
    kernels = [kernel_of(name) for name in options["kernel"]]
    files = list(_files(paths, only_policies=options["only-policies"]))
    reports: List[Report] = []
    code = EXIT_OK
    for path in files:
        report, ended = check_file(path, kernels)
        if report["ok"]:
            _compare_names(report, reports)
        reports.append(report)
        code = max(code, ended)
        if form == "text":
            for line in _lines(report):
                warn(line)
    if form == "json":
        written = write(dumps({"files": reports}, indent=True).decode() + "\n")
    elif form == "sarif":
        from tetrapy.cli.policy.sarif import log

        written = write(dumps(log(reports), indent=True).decode() + "\n")
    else:
        written = write("".join(_summary(report) for report in reports if report["ok"]))
    return written or code


def _compare_names(report: Report, others: Sequence[Report]) -> None:
    """Warn of a name that a policy has already: an agent with both refuses the second."""
    key = report["namespace"], report["name"]
    for one in others:
        if one["ok"] and (one["namespace"], one["name"]) == key:
            what = f"is that of {one['file']} too: an agent refuses the second of them"
            report["warnings"].append(Problem("metadata.name", 1, 1, what)._asdict())
            return


def _files(paths: Sequence[str], *, only_policies: bool) -> Iterator[str]:
    """Raises SettingsError for directories without a policy, or with far too many files."""
    for path in paths:
        if os.path.isdir(path):
            found = list(_below(path))
            if not found:
                raise SettingsError(f"{path} holds no policy: no file {', '.join(_SUFFIXES)} with"
                                    " the kind TracingPolicy")  # fmt: skip
            yield from found
        elif not only_policies or _may_be_policy(path):
            yield path


def _below(directory: str) -> Iterator[str]:
    count = 0
    for parent, directories, names in os.walk(directory):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        for name in sorted(names):
            if name.startswith(".") or not name.endswith(_SUFFIXES):
                continue
            count += 1
            if count > _MAX_FILES:
                what = f"{directory} holds more than {_MAX_FILES} files; name directories below it"
                raise SettingsError(what)
            path = os.path.join(parent, name)
            if _may_be_policy(path):
                yield path


def _may_be_policy(path: str) -> bool:
    """Whether a file has the kind of a policy, or cannot be read, which is reported later."""
    if not os.path.isfile(path):
        return True
    try:
        with open(path, "rb") as file:
            data = file.read(_LOOKED_AT)
    except OSError:
        return True
    return bool(_POLICY.search(data) or _IN_JSON.search(data))


def check_file(path: str, kernels: Sequence[Kernel]) -> Tuple[Report, int]:
    """What there is to say about a file, and the exit code for it."""
    report: Report = {"file": path, "ok": False, "errors": [], "warnings": [], "later": []}
    if kernels:
        report["kernels"] = []
    try:
        read = read_policy(policy_text(path, standard_input=True))
    except OSError as err:
        why = error_text(err) if err.strerror else "it is a directory"
        report["unreadable"] = why if path in why else f"{path}: {why}"
        return report, EXIT_TROUBLE
    except PolicyError as err:
        report["errors"] = [problem._asdict() for problem in err.problems]
        return report, EXIT_FOUND
    policy = read.policy
    hooks = {section: len(getattr(policy.spec, section)) for section in SECTIONS}
    report.update(
        ok=True,
        name=policy.metadata.name or policy.metadata.generate_name,
        namespace=policy.metadata.namespace,
        kind=policy.kind,
        hooks={section: count for section, count in hooks.items() if count},
        loader=policy.spec.loader,
        warnings=[problem._asdict() for problem in read.warnings],
        later=[feature._asdict() for feature in (*later(policy), *unsupported(policy))],
    )
    for kernel in kernels:
        report["kernels"].append(_on_kernel(read, kernel))
    report["ok"] = not any(one["errors"] for one in report.get("kernels", ()))
    return report, EXIT_OK if report["ok"] else EXIT_FOUND


def _on_kernel(read: Read, kernel: Kernel) -> Dict[str, Any]:
    try:
        found = examine(read, kernel)
    except FormatError as err:
        raise SettingsError(f"kernel {kernel.origin}: {err}") from err
    return {
        "kernel": kernel.name,
        "origin": kernel.origin,
        "errors": [one._asdict() for one in found.errors],
        "warnings": [one._asdict() for one in found.warnings],
        "unanswered": [one._asdict() for one in found.unanswered],
    }


def _lines(report: Report) -> List[str]:
    """What is wrong, probably not meant, or not known."""
    path = report["file"]
    if "unreadable" in report:
        return [f"Error: {report['unreadable']}"]
    lines = [_line(path, "", one) for one in report["errors"]]
    lines += [_line(path, "warning: ", one) for one in report["warnings"]]
    for kernel in report.get("kernels", ()):
        name = f"{kernel['kernel']}: "
        lines += [_line(path, name, one) for one in kernel["errors"]]
        lines += [_line(path, f"warning: {name}", one) for one in kernel["warnings"]]
        lines += [_line(path, f"not known: {name}", one) for one in kernel["unanswered"]]
    return lines


def _line(path: str, word: str, problem: Dict[str, Any]) -> str:
    shown = Problem(**problem)
    where = f"{shown.path}: " if shown.path else ""
    return f"{path}:{shown.line}:{shown.column}: {word}{where}{shown.message}"


def _summary(report: Report) -> str:
    hooks = [counted(count, _SINGULAR[one], one) for one, count in report["hooks"].items()]
    what = ", ".join([*hooks, *["loader"] * report["loader"]]) or "no hooks"
    line = f"{report['file']}: ok: {report['name']} ({what})"
    if report["later"]:
        line += "; not supported yet: " + ", ".join(one["name"] for one in report["later"])
    for kernel in report.get("kernels", ()):
        line += f"; {kernel['kernel']}: " + _answered(kernel)
    return printable(line) + "\n"


def _answered(kernel: Dict[str, Any]) -> str:
    count = len(kernel["unanswered"])
    if not count:
        return "all is there"
    return f"{counted(count, 'question')} without an answer in {kernel['origin']}"
