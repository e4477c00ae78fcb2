# SPDX-License-Identifier: Apache-2.0
"""Settings of tracing policies."""

from __future__ import annotations

from typing import Tuple

from tetrapy.config.setting import BOOL, DIRECTORY, FILES, UINT, Setting, Topic

TOPICS: Tuple[Topic, ...] = (
    (
        "Tracing policies",
        (
            Setting(
                "tracing-policy",
                FILES,
                (),
                "policy that is loaded at start, after those of the directory: a file, or"
                " library:NAME of those that tetrapy carries; may be given more than once",
            ),
            Setting(
                "tracing-policy-dir",
                DIRECTORY,
                "/etc/tetrapy/tetrapy.tp.d",
                "absolute directory of policies that are loaded: files in it and one level below,"
                " whatever their names end with; what changes there takes effect at once",
            ),
            Setting(
                "load-policies-at-run-time",
                BOOL,
                True,
                "keep the capabilities that loading policies takes, so that clients may add them"
                " and the directory is watched",
                own=True,
            ),
            Setting(
                "tracing-policy-strict",
                BOOL,
                False,
                "end the start when a policy cannot be loaded, as Tetragon does, and not keep it in"
                " the list with its error",
                own=True,
            ),
            Setting(
                "allow-policy-requests",
                BOOL,
                False,
                "let policies have the agent fetch URLs and look up names (GetUrl, DnsLookup); a"
                " policy that asks for that is refused otherwise, since an agent speaks to nobody",
                own=True,
            ),
            Setting(
                "policy-cpu-share",
                UINT,
                25,
                "percentage of a processor that events of one policy may take; one that takes more"
                " for long reports no calls of those who cause it, and acts on all. 0: no limit",
                own=True,
            ),
            Setting(
                "disable-kprobe-multi",
                BOOL,
                False,
                "attach kprobes one by one, also where the kernel has one link for many (Linux"
                " 5.18); a policy's option of that name does so for it alone",
            ),
            Setting(
                "expose-stack-addresses",
                BOOL,
                False,
                "show where in memory the entries of stack traces are, not only in which function",
                aliases=("expose-kernel-addresses",),
            ),
        ),
    ),
)
