# SPDX-License-Identifier: Apache-2.0
"""docs/kernels.md out of what a complete run of tests/vm left: python3 -m tests.vm.report

A run that left out a kernel or a session, or that ran another tetrapy.pyz on one of them, is no
complete run: the report then says what is missing and writes nothing.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.vm.ways import INFERRED, MADE_UP, SCANNED, SOURCES, WAYS
from tools.errors import BuildError
from tools.guest import kernels
from tools.guest.kernels import Kernel

ROOT = Path(__file__).resolve().parents[2]
LEFT = ROOT / "build/guests"
DOCUMENT = ROOT / "docs/kernels.md"

# The columns of the table of sources; the rest of the ways is told one by one.
_MAIN = ("kernel", "perf", "exact", "shipped", "inferred", "scanned")
_HEAD = """# Kernels

What `make vm` found on each kernel of `tests/vm/kernels.toml`, booted in QEMU without hardware
virtualization. Written by `python3 -m tests.vm.report` from a complete run; do not edit.

A session is right when all its checks of events pass: processes with known fates must be reported
with the right binary, arguments, directory, ids, times, parents, cgroup and exit, and nothing of
the agent may be left behind. In all columns but the first two the kernel's own BTF is hidden from
the agent (or the kernel is patched to have none).
"""


class ReportError(BuildError):
    """The run that is to be reported is not complete."""


_PROOFS = """## Proofs

A *need* is what a relocation asks of the kernel. Through a candidate's offsets a
prepared task are read and compared with what procfs and system calls say. Candidates were the right
layout, all other layouts in the archive, and altered ones: the right one with a single query moved
by a word or half of one, made larger, absent, or there where the kernel has none.
"""

_OLD = """## Kernels before Linux 5.10

No test boots one. What is said of them: `tools/floor.py` holds the compiled programs to Linux 5.4,
and the small ones to 4.19; the small ones load on later kernels with the types of CentOS 8
(4.18.0-147, arm64) and of a vendor's 4.19.90, in walks far below the limit of that time; on later
kernels they report what the others do (`tests/kernel/events`). On 2026-11-30 an agent was run by
hand on a build of Linux 4.19.72 without BTF, with its defaults, and with credentials, namespaces,
environments, ancestors and `--cgroup-rate`: types were found in memory, the verifier walked 2,100
to 25,800 instructions a program, and forks, executions, ends by signals, other users and deep
directories were reported, none lost. A kernel before 5.6 that has no random numbers yet, as at the
boot of a guest, keeps the search for types waiting until it has. On 4.18, 5.4 and RHEL 8 no agent
was seen to run.
"""

_BUILT = """## What a kernel may be built without

`tests/vm/test_built_kernels.py` boots Linux 6.1 in a small configuration of ours, without cgroups,
namespaces, audit, modules and BTF. For all of these tests make such layouts of kernels of the
corpus, and load the programs on the kernel that they run on with types that lack these members.

| option | what it costs |
| --- | --- |
| `CONFIG_CGROUPS` off | `docker`, what else is known by a cgroup, `--cgroup-rate` |
| `CONFIG_NAMESPACES` off, or one kind of them | the number of that kind in `ns` |
| `CONFIG_AUDIT` off | `auid` |
| lock debugging | nothing |
| `CONFIG_RANDSTRUCT` | other BTF than the kernel's own, but for `--btf FILE --btf-check=false` |
| `CONFIG_BPF_EVENTS` off | eBPF: the process connector serves, and the log names the option |
"""


@dataclass(frozen=True)
class Left:
    """What a guest left."""

    kernel: Kernel
    record: dict[str, Any]
    verdicts: dict[str, Any]
    logs: dict[str, str]

    def verdict(self, name: str) -> str:
        """Whether a session ended as it must."""
        verdict = self.verdicts["sessions"][name]
        if verdict["failed"]:
            return f"**wrong**: {len(verdict['failed'])} checks fail"
        if not WAYS[name].starts:
            return "refused"
        return "right"

    def outcome(self, name: str) -> str:
        """The same with the source that the agent found by itself."""
        model = SOURCES[INFERRED].search(self.logs[name])
        if model and model["kernel"].endswith(MADE_UP):
            return f"{self.verdict(name)}, inferred from a made-up twin"
        if model:
            return f"{self.verdict(name)}, inferred from {model['kernel'].rpartition('/')[2]}"
        if SOURCES[SCANNED].search(self.logs[name]):
            return f"{self.verdict(name)}, found in memory"
        return self.verdict(name)


def read(kernel: Kernel) -> Left:
    """What the last run left about a kernel; ReportError if that is not all."""
    place = LEFT / kernel.name
    try:
        record = json.loads((place / "record.json").read_text())
        verdicts = json.loads((place / "verdicts.json").read_text())
        logs = {name: (place / name / "log").read_text("utf-8") for name in kernel.sessions}
    except FileNotFoundError as err:
        raise ReportError(f"{err.filename} is missing: `make vm` first, to its end") from err
    missing = [name for name in ("", *kernel.sessions) if name not in verdicts["sessions"]]
    if missing:
        raise ReportError(f"{kernel.name}: no test judged {', '.join(missing)}: run `make vm`")
    return Left(kernel, record, verdicts, logs)


def document(guests: list[Left]) -> str:
    """The text of docs/kernels.md."""
    parts = [
        _HEAD,
        _kernels(guests),
        _sources(guests),
        _others(guests),
        _proofs(guests),
        _OLD,
        _BUILT,
    ]
    return "\n".join(parts)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _kernels(guests: list[Left]) -> str:
    rows = [
        [
            guest.kernel.name,
            guest.kernel.release,
            guest.kernel.version,
            "yes" if guest.kernel.btf else "no",
            "yes" if guest.kernel.known else "no",
        ]
        for guest in guests
    ]
    head = ["kernel", "`uname -r`", "Debian package", "has BTF", "has an entry in the archive"]
    return _table(head, rows)


def _sources(guests: list[Left]) -> str:
    about = "".join(f"- **{name}**: {WAYS[name].about}\n" for name in _MAIN)
    rows = [
        [guest.kernel.name]
        + [guest.outcome(name) if name in guest.kernel.sessions else "" for name in _MAIN]
        for guest in guests
    ]
    return f"## Sources of the kernel's types\n\n{about}\n{_table(['kernel', *_MAIN], rows)}"


def _others(guests: list[Left]) -> str:
    rows = []
    for name, way in WAYS.items():
        if name not in _MAIN:
            ran = [guest for guest in guests if name in guest.kernel.sessions]
            outcomes: dict[str, list[str]] = {}
            for guest in ran:
                outcomes.setdefault(guest.verdict(name), []).append(guest.kernel.name)
            reported = "; ".join(f"{text} ({', '.join(on)})" for text, on in outcomes.items())
            rows.append([name, way.about, reported])
    text = "Refused means: one error that says what was tried, exit code 255, no event.\n"
    return f"## Other surroundings, and what must be refused\n\n{text}\n" + _table(
        ["session", "what the agent finds", "outcome (kernels)"], rows
    )


def _proofs(guests: list[Left]) -> str:
    rows = []
    for guest in guests:
        probe = guest.record["probe"]
        scan = probe["scan"]
        altered = [name for name in probe["passed"] if re.search(r"/altered\.", name)]
        found = f"right, {scan['proven']} of them confirmed by a second task"
        rows.append(
            [
                guest.kernel.name,
                f"{scan['proven'] + len(scan['unproven'])}",
                f"{len(probe['unproven'])}",
                f"{probe['tested'] - 1 - len(altered)} of {probe['tested'] - 1}",
                found if not guest.verdicts["sessions"][""]["failed"] else "**wrong**",
            ]
        )
    head = ["kernel", "needs", "without a check", "wrong candidates refused", "scan of memory"]
    return f"{_PROOFS}\n{_table(head, rows)}"


def main() -> int:
    """Exit code 2 when the last run was not complete."""
    try:
        guests = [read(kernel) for kernel in kernels.load()]
        if len({guest.verdicts["pyz"] for guest in guests}) > 1:
            raise ReportError("the kernels ran different files tetrapy.pyz: run `make vm`")
    except BuildError as err:
        print(f"report: {err}", file=sys.stderr)
        return 2
    DOCUMENT.write_text(document(guests))
    return 0


if __name__ == "__main__":
    sys.exit(main())
