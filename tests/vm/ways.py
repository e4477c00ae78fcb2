# SPDX-License-Identifier: Apache-2.0
"""The ways in which a guest runs the agent, by name; tests/vm/kernels.toml says which kernel which.

What differs is where the agent can learn the kernel's types from: the kernel's own BTF may be
hidden, the archive in the .pyz may be another (tests/vm/archives.py).  A way in which the agent has
to start names the source that it must then state; otherwise it names what the refusal must say.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

OWN, EXACT, RELEASE, USER, STORE = "kernel", "exact", "release", "user", "store"
INFERRED, SCANNED = "inferred", "scanned"
# From the archive if a kernel in it has the same layout, else from memory.
UNKNOWN = "unknown"
# How the release of a kernel ends that was made up to be another one's twin.
MADE_UP = ".twin"

# What the agent logs about where the kernel's types come from.
SOURCES = {
    OWN: re.compile(r"default kernel btf file found"),
    EXACT: re.compile(r'archive has this kernel" btf=\S+$', re.MULTILINE),
    RELEASE: re.compile(r'archive has this kernel" btf=.*by release alone'),
    USER: re.compile(r"user specified btf file found"),
    STORE: re.compile(r"local store has this kernel"),
    INFERRED: re.compile(r"inferred from (?P<kernel>\w+/\S*/\w+/[^\s\"]+)"),
    SCANNED: re.compile(r"inferred from the memory of the running kernel"),
}


# Where a bit is flipped: the xz format's stream header, a block's header, data near its start, in
# its middle and at its end, the SHA-256 of the unpacked text, the index, the stream's footer.
FLIPS: dict[str, Callable[[int], int]] = {
    "header": lambda size: 6,
    "block": lambda size: 14,
    "start": lambda size: 40,
    "middle": lambda size: size // 2,
    "end": lambda size: size - 80,
    "digest": lambda size: size - 36,
    "index": lambda size: size - 18,
    "footer": lambda size: size - 8,
}


@dataclass(frozen=True)
class Way:
    """One way of running the agent."""

    about: str  # for docs/kernels.md
    source: str = ""  # that it must use; empty: it must refuse to start
    refusal: tuple[str, ...] = ()  # what the error must contain
    hidden: bool = True  # the kernel's own BTF
    archive: str = "shipped"  # name in tests/vm/archives.py
    options: tuple[str, ...] = ()
    os_release: str = ""  # in place of the kernel's own distribution
    situation: str = ""  # of tests/vm/situations.py
    # Commands of the .pyz that are run before, with the exit codes that they must have.
    before: tuple[tuple[int, tuple[str, ...]], ...] = ()
    burst: bool = False
    details: bool = False  # processes of tests/vm/details.py are run

    @property
    def starts(self) -> bool:
        """Whether the agent has to start."""
        return bool(self.source)


WAYS = {
    "kernel": Way("the kernel's own BTF, ring buffer", OWN, hidden=False, burst=True),
    "perf": Way(
        "the kernel's own BTF, perf buffers",
        OWN,
        hidden=False,
        options=("--use-perf-ring-buffer",),
        burst=True,
    ),
    "details": Way(
        "the kernel's own BTF, everything told that can be asked for",
        OWN,
        hidden=False,
        options=(
            "--enable-process-cred",
            "--enable-process-ns",
            "--username-metadata=unix",
            "--enable-process-environment-variables",
            "--enable-ancestors=base",
        ),
        details=True,
    ),
    "exact": Way(
        "the archive's entry of this kernel, added where the shipped archive has none",
        EXACT,
        archive="with-entry",
    ),
    "release": Way(
        "a rebranded distribution: the archive's entry by `uname -r` alone",
        RELEASE,
        os_release='ID=rebranded\nVERSION_ID="1"\n',
    ),
    "user": Way("`--btf` with the right BTF", USER, options=("--btf", "/test/own.btf")),
    "store": Way(
        "the local store, after `tetrapy btf add /sys/kernel/btf/vmlinux`",
        STORE,
        before=((0, ("btf", "add", "/sys/kernel/btf/vmlinux")),),
    ),
    "store-wrong": Way(
        "a local store with another kernel's BTF, which `tetrapy btf add` takes only if told so",
        EXACT,
        before=(
            (1, ("btf", "add", "/test/other.btf")),
            (0, ("btf", "add", "--no-check", "/test/other.btf")),
        ),
    ),
    "shipped": Way("the shipped archive, which has no entry of this kernel", UNKNOWN),
    "inferred": Way(
        "no entry of this kernel, its layout as another kernel's", INFERRED, archive="without-entry"
    ),
    "misnamed": Way(
        "another layout under this kernel's name, its own under another's",
        INFERRED,
        archive="misnamed",
    ),
    "scanned": Way(
        "no kernel with this layout: offsets found in memory", SCANNED, archive="without-layout"
    ),
    "empty": Way("an archive without kernels: offsets found in memory", SCANNED, archive="empty"),
    "legacy-cgroups": Way(
        "`inferred` where cgroups are on hierarchies of version 1",
        INFERRED,
        archive="without-entry",
        situation="legacy-cgroups",
    ),
    "container": Way(
        "`inferred` in pid, cgroup and mount namespaces of its own",
        INFERRED,
        archive="without-entry",
        situation="container",
        options=("--procfs", "/host/proc"),
    ),
    "confined": Way(
        "`inferred` without CAP_SYS_ADMIN: a container's capabilities, CAP_BPF, CAP_PERFMON",
        INFERRED,
        archive="without-entry",
        situation="confined",
    ),
    "wrong": Way(
        "another layout under this kernel's name, and no other",
        refusal=("is not the running kernel's", "--btf-inference=archive"),
        archive="wrong-entry",
        options=("--btf-inference=archive",),
    ),
    "unlisted": Way(
        "no kernel with this layout, `--btf-inference=archive`",
        refusal=("none of", "known layouts passes"),
        archive="without-layout",
        options=("--btf-inference=archive",),
    ),
    "off": Way(
        "no entry of this kernel, `--btf-inference=off`",
        refusal=("--btf-inference=off", "/sys/kernel/btf/vmlinux", "tetrapy btf add"),
        archive="without-entry",
        options=("--btf-inference=off",),
    ),
    "user-wrong": Way(
        "`--btf` with the BTF of another kernel",
        refusal=("/test/other.btf", "is not the running kernel's"),
        hidden=False,
        options=("--btf", "/test/other.btf"),
    ),
    "truncated": Way(
        "half of the archive", refusal=("the BTF archive cannot be read",), archive="truncated"
    ),
    **{
        f"flipped-{place}": Way(
            f"one bit of the archive flipped ({place})",
            refusal=("the BTF archive cannot be read",),
            archive=f"flipped-{place}",
        )
        for place in FLIPS
    },
}

# What must be refused is eBPF: else the process connector would be used in its place.
WAYS = {
    name: way if way.starts else replace(way, options=(*way.options, "--sensor=ebpf"))
    for name, way in WAYS.items()
}
