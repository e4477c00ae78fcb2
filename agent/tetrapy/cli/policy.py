# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy`: the policies of the running agent, files of policies, their schema.

Exit codes: 0 all files are policies that keep the rules; 1 one is not, or wrong use; 255 a file
cannot be read.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

from tetrapy.cli.btf.output import counted, error_text, warn
from tetrapy.cli.config import write
from tetrapy.errors import PolicyError
from tetrapy.visible import printable

HELP = """\
Shows the TracingPolicies of the running agent, and looks at files of policies
without loading them: for that neither root nor a kernel is needed; whether this
kernel has a function or tracepoint is not asked.

Usage:
  tetrapy policy list           the policies of the running agent
  tetrapy policy check FILE...  whether each file is a policy that can be loaded
  tetrapy policy schema         the JSON Schema of policies, for editors

  --json      list, check: a document for programs
  -h, --help  show this text and exit

check names the place of each mistake, FILE:LINE:COLUMN, and what of a policy
this agent does not do yet. Editors complete and check a policy whose first
line is
  # yaml-language-server: $schema=FILE
where FILE has the schema. Exit codes: 0 all are right; 1 one is not, or wrong
use; 255 a file cannot be read, or no agent runs whose policies could be listed.
"""
EXIT_OK, EXIT_REFUSED, EXIT_FATAL = 0, 1, 255

_SINGULAR = {
    "kprobes": "kprobe",
    "fentries": "fentry",
    "tracepoints": "tracepoint",
    "uprobes": "uprobe",
    "usdts": "usdt",
    "lsmhooks": "lsmhook",
}

Report = Dict[str, Any]


def main(words: List[str]) -> int:
    """Run the command line behind `tetrapy policy`; returns the exit code."""
    command, *rest = words or [""]
    if command in {"-h", "--help", "help"} or "--help" in rest or "-h" in rest:
        return write(HELP)
    flags = [word for word in rest if word.startswith("-")]
    files = [word for word in rest if not word.startswith("-")]
    if command == "schema" and not rest:
        from tetrapy.policy.json_schema import text

        return write(text())
    unknown = [flag for flag in flags if flag != "--json"]
    if command == "check" and files and not unknown:
        return _check(files, as_json=bool(flags))
    if command == "list" and not files and not unknown:
        from tetrapy.cli.policy_list import run

        return run(as_json=bool(flags))
    if command not in {"check", "list", "schema"}:
        what = f"unknown command: {printable(command)}" if command else "no command is given"
    elif command == "schema" or (files and command == "list"):
        what = f"{command} takes no arguments: {printable(rest[0])}"
    else:
        what = f"unknown flag: {printable(unknown[0])}" if unknown else "no file is given"
    warn(f"Error: {what}\nRun tetrapy policy --help for its use.")
    return EXIT_REFUSED


def _check(files: List[str], *, as_json: bool) -> int:
    reports = []
    code = EXIT_OK
    for path in files:
        report, ended = _look(path)
        reports.append(report)
        code = max(code, ended)
        if not as_json:
            for line in _lines(report):
                warn(line)
    if as_json:
        written = write(json.dumps({"files": reports}, indent=2) + "\n")
    else:
        written = write("".join(_summary(report) for report in reports if report["ok"]))
    return written or code


def _look(path: str) -> Tuple[Report, int]:
    """What there is to say about a file, and the exit code for it."""
    from tetrapy.policy.later import later
    from tetrapy.policy.read import read_policy_file
    from tetrapy.policy.schema.policy import SECTIONS

    report: Report = {"file": path, "ok": False, "errors": [], "warnings": [], "later": []}
    try:
        read = read_policy_file(path)
    except OSError as err:
        report["unreadable"] = error_text(err) if err.strerror else "it is a directory"
        return report, EXIT_FATAL
    except PolicyError as err:
        report["errors"] = [problem._asdict() for problem in err.problems]
        return report, EXIT_REFUSED
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
        later=[feature._asdict() for feature in later(policy)],
    )
    return report, EXIT_OK


def _lines(report: Report) -> List[str]:
    """What is wrong, or probably not meant."""
    path = report["file"]
    if "unreadable" in report:
        found = report["unreadable"]
        return [f"Error: {found}" if path in found else f"Error: {path}: {found}"]
    lines = []
    for word, problems in (("", report["errors"]), ("warning: ", report["warnings"])):
        for one in problems:
            place = f"{path}:{one['line']}:{one['column']}: {word}"
            lines.append(place + (f"{one['path']}: " if one["path"] else "") + one["message"])
    return lines


def _summary(report: Report) -> str:
    hooks = [counted(count, _SINGULAR[one], one) for one, count in report["hooks"].items()]
    what = ", ".join([*hooks, *["loader"] * report["loader"]]) or "no hooks"
    line = f"{report['file']}: ok: {report['name']} ({what})"
    if report["later"]:
        line += "; not supported yet: " + ", ".join(one["name"] for one in report["later"])
    return printable(line) + "\n"
