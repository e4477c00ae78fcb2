# SPDX-License-Identifier: Apache-2.0
"""What is tried on the agent: loads of bench/attack.c, with the settings that they aim at.

A row for each way to be expensive: to the buffer, to memory, to CPU, to the export files.
"""

from __future__ import annotations

from typing import NamedTuple

ARGUMENTS = 262_000  # bytes: about the most that the agent shows of one execution
CONTROL = "fill=01"  # JSON makes six bytes of one
INVALID = "fill=ff61"  # no UTF-8
UNSEEN = "fill=7fe280ae61"  # DEL and a mark that turns the order round: JSON escapes each
QUOTES = "fill=225c"  # JSON makes two bytes of one
EMOJI = "fill=f09f98800141"  # Python takes four bytes for each character of such a text

_SECRETS = r'{"redact": ["(?:--password|-p)[= ]*([^ ]+)", "://[^:/@ ]+:([^@ ]+)@"]}'
_REGEX = r'{"arguments_regex": ["(?i)(password|token|secret)\\s*[=:]\\s*\\S+$"]}'
_MANY = "\n".join(f'{{"binary_regex": ["^/no-{number}$"]}}' for number in range(20))


class Attack(NamedTuple):
    """One attack: what the attacker does, and what the agent is asked for meanwhile."""

    name: str
    load: tuple[str, ...]  # arguments of bench/attack.c
    flags: tuple[str, ...] = ()  # of the agent; {port} is one that is free
    cgroups: int = 0  # how many the attacker owns
    reload: bool = False  # SIGHUP meanwhile, twice a second
    stop: bool = False  # the agent is stopped while the attack goes on
    reported: bool = True  # every event of the victim is to be reported
    short: bool = False  # part of the short form


ATTACKS = (
    Attack("no attack", ()),
    # The buffer.
    Attack("short arguments", ("storm", "procs=4", "bytes=20")),
    Attack("16 KB of control characters", ("storm", "bytes=16000", CONTROL), short=True),
    Attack("the same, 4 at once", ("storm", "procs=4", "bytes=16000", CONTROL)),
    Attack("256 KB", ("storm", "procs=2", f"bytes={ARGUMENTS}", "unique=1")),
    Attack("forks", ("forks", "procs=4")),
    Attack("exits, 500 at once", ("ends", "count=500"), short=True),
    Attack("threads", ("threads", "procs=4")),
    Attack("500 uids", ("storm", "procs=4", "bytes=16000", "uids=500"), short=True),
    Attack("200 cgroups", ("storm", "procs=4", "bytes=16000", "cgroups=200"), cgroups=200),
    # Memory.
    Attack("a parent's 256 KB", ("parent", f"bytes={ARGUMENTS}", CONTROL), short=True),
    Attack(
        "16 ancestors of 256 KB",
        ("chain", "depth=16", f"bytes={ARGUMENTS}", CONTROL),
        ("--enable-ancestors=base",),
    ),
    Attack(
        "600 parents of 256 KB that ended",
        ("keep", "count=600", f"bytes={ARGUMENTS}", EMOJI),
        short=True,
    ),
    Attack(
        "aggregation of long lines",
        ("storm", "procs=2", "bytes=60000", "unique=1"),
        ("--enable-export-aggregation", "--export-aggregation-window-size=1m"),
    ),
    Attack(
        "6,000 binaries with long names",
        ("storm", "procs=2", "binaries=6000"),
        ("--metrics-server=127.0.0.1:{port}", f"--export-denylist={_MANY}"),
    ),
    # CPU.
    Attack("256 KB, invalid UTF-8", ("storm", f"bytes={ARGUMENTS}", INVALID, "unique=1")),
    Attack("256 KB that is not seen", ("storm", f"bytes={ARGUMENTS}", UNSEEN, "unique=1")),
    Attack("256 KB, quotes", ("storm", f"bytes={ARGUMENTS}", QUOTES, "unique=1")),
    Attack("50,000 arguments", ("storm", "bytes=100000", "fill=6100", "unique=1")),
    Attack(
        "256 KB to be redacted",
        ("storm", f"bytes={ARGUMENTS}", "fill=2d702078787820", "unique=1"),
        (f"--redaction-filters={_SECRETS}",),
        short=True,
    ),
    Attack(
        "256 KB for a regex",
        ("storm", f"bytes={ARGUMENTS}", "fill=746f6b656e3d78", "unique=1"),
        (f"--export-denylist={_REGEX}",),
    ),
    Attack(
        "256 KB of environment",
        ("storm", "procs=2", f"env={ARGUMENTS}", CONTROL),
        ("--enable-process-environment-variables",),
    ),
    Attack("256 KB while settings are read", ("storm", f"bytes={ARGUMENTS}", CONTROL), reload=True),
    Attack("stopped under 16 KB", ("storm", "procs=4", "bytes=16000", CONTROL), stop=True),
    Attack("stopped under forks", ("forks", "procs=4"), stop=True),
    # The process connector sees what procfs still shows when a message has come.
    Attack(
        "connector: 16 KB",
        ("storm", "procs=4", "bytes=16000", CONTROL),
        ("--sensor=connector",),
        reported=False,
    ),
    Attack(
        "connector: 600 parents of 256 KB",
        ("keep", "count=600", f"bytes={ARGUMENTS}", EMOJI),
        ("--sensor=connector",),
        reported=False,
    ),
    Attack("2,000 parents in 4,000 bytes of directory", ("keep", "count=2000", "deep=3900")),
    Attack("4,000 bytes of directory", ("storm", "procs=2", "deep=3900")),
    Attack("4,000 bytes of path", ("storm", "procs=2", "path=4000")),
)


def named(names: list[str], *, short: bool) -> list[Attack]:
    """Those whose names contain one of `names`, all without any; of the short form only."""
    return [
        attack
        for attack in ATTACKS
        if (attack.short or not short) and (not names or any(name in attack.name for name in names))
    ]
