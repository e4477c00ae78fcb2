# SPDX-License-Identifier: Apache-2.0
"""What the agent can do, and which capabilities each of it needs: measured in guests.

docs/privileges.md has this table; tests/vm/test_privileges.py holds both to what guests find.
"""

from __future__ import annotations

from dataclasses import dataclass

START = ("BPF", "PERFMON")
# What the process is made with that a layout is checked by; its cgroup is made in a
# directory that not even root may write to.
_PREPARE = ("DAC_OVERRIDE", "SETGID", "SETUID", "SYS_CHROOT")
_PYZ = "/test/tetrapy.pyz"
_EMPTY = "/test/tetrapy-without.pyz"  # its archive does not know this kernel's layout


@dataclass(frozen=True)
class Feature:
    """Something that the agent does, how it is asked for, and what it needs."""

    title: str
    queries: tuple[str, ...]
    check: str  # in tests/vm/privileged.py
    flags: tuple[str, ...] = ()
    pyz: str = _PYZ
    hidden: bool = False  # the kernel's BTF

    @property
    def arguments(self) -> tuple[str, ...]:
        """The agent's, which has to use the sensor that is meant."""
        ebpf = () if "--sensor=connector" in self.flags else ("--sensor=ebpf",)
        return (*ebpf, *self.flags)

    def needed(self, release: tuple[int, int]) -> tuple[str, ...]:
        """On a kernel of this release."""
        maps = {"BPF", "SYS_ADMIN"} & set(self.queries)
        memory = ("SYS_RESOURCE",) if maps and release < (5, 11) else ()
        return (*self.queries, *memory)


FEATURES = {
    "ring": Feature("events by eBPF, ring buffer", START, "tells"),
    # Debian's kernels ask for more than CAP_PERFMON: kernel.perf_event_paranoid is 3 there.
    "perf": Feature(
        "events by eBPF, perf buffers (`--use-perf-ring-buffer`)",
        ("SYS_ADMIN",),
        "tells",
        ("--use-perf-ring-buffer",),
    ),
    "details": Feature(
        "credentials, namespaces, ancestors, environment, user names",
        START,
        "tells",
        (
            "--enable-process-cred",
            "--enable-process-ns",
            "--enable-ancestors=base",
            "--enable-process-environment-variables",
            "--username-metadata=unix",
        ),
    ),
    "older": Feature(
        "program and directory of other users' processes that were there before the agent",
        (*START, "SYS_PTRACE"),
        "tells_older",
    ),
    "connector": Feature(
        "events by the process connector (`--sensor=connector`)",
        ("NET_ADMIN",),
        "tells_somehow",
        ("--sensor=connector",),
    ),
    "connector-details": Feature(
        "the same, with the directory of other users' processes",
        ("NET_ADMIN", "SYS_PTRACE"),
        "completes",
        ("--sensor=connector",),
    ),
    "port": Feature(
        "metrics or health on a port below 1024",
        (*START, "NET_BIND_SERVICE"),
        "serves",
        ("--metrics-server=127.0.0.1:112",),
    ),
    "directory": Feature(
        "an export file in a directory of another user",
        (*START, "DAC_OVERRIDE"),
        "tells_in_owned_directory",
    ),
    "owner": Feature(
        "rotating an export file that belongs to another user, who keeps it",
        (*START, "DAC_OVERRIDE", "CHOWN"),
        "rotates",
        ("--export-file-rotation-interval=1s",),
    ),
    "checked": Feature(
        "comparing BTF that is not the kernel's own, as far as that goes with these",
        (*START, "DAC_OVERRIDE"),
        "checked",
        ("--btf=/test/own.btf",),
    ),
    "whole": Feature(
        "comparing BTF that is not the kernel's own, every check",
        ("SYS_ADMIN", *_PREPARE, "DAC_READ_SEARCH", "SETPCAP"),
        "checked_whole",
        ("--btf=/test/own.btf",),
    ),
    "scanned": Feature(
        "kernel types found in memory (`--btf-inference=auto`)",
        ("SYS_ADMIN", *_PREPARE),
        "found",
        pyz=_EMPTY,
        hidden=True,
    ),
}


def table() -> str:
    """For docs/privileges.md."""
    lines = ["| what | capabilities |", "|---|---|"]
    for feature in FEATURES.values():
        queries = ", ".join(f"CAP_{name}" for name in sorted(feature.queries))
        lines.append(f"| {feature.title} | {queries} |")
    return "\n".join(lines) + "\n"
