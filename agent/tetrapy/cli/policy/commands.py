# SPDX-License-Identifier: Apache-2.0
"""The table of commands behind `tetrapy policy`; help texts and completions are derived from it."""

from __future__ import annotations

from typing import Tuple

from tetrapy.cli.client.command import ANY, Command, Flag
from tetrapy.cli.client.flags import output
from tetrapy.config.setting import BOOL, FILE, LIST, Setting

EXIT_CODES = """\
Exit codes: 0 nothing is wrong; 1 something is; 2 wrong use, or a file that
cannot be read.
"""

_JSON = Flag(Setting("json", BOOL, False, "the same as -o json"), hidden=True)
_KERNEL = Flag(
    Setting("kernel", LIST, (),
            "also ask a kernel: a file with its BTF (raw, in a vmlinux, or packed by xz), the"
            " release of one that `tetrapy btf list` shows, or `running`; may be given more than"
            " once", short="k")
)  # fmt: skip

COMMANDS: Tuple[Command, ...] = (
    Command(
        ("list",), "the policies of the running agent", "list.run",
        flags=(
            Flag(Setting("counters", BOOL, False, "also how often their hooks were called, by the"
                         " agent's API")),
            output("text", "json"),
            _JSON,
        ),
        text="""\
With --counters below each policy its hooks and their selectors, since the policy
was loaded, in any mode:
  called     calls of what the hook names, whether a selector matched or none
  missed     calls that its kprobes missed, and runs that the kernel skipped of
             programs that only this hook has
  matched    calls that the selector decided on, the first one that matches
  posted     events that were sent of them
  acted      signals, overrides and what was put before an enforcer
  monitored  the same that was not done because the policy only monitors
""",
    ),
    Command(
        ("check",), "whether files are policies that can be loaded, and where not", "check.run",
        arguments="FILE|DIRECTORY...", takes=ANY,
        flags=(
            _KERNEL,
            output("text", "json", "sarif"),
            Flag(Setting("only-policies", BOOL, False, "pass over files that are no policies, as is"
                         " done in directories")),
            _JSON,
        ),
        text="""\
Mistakes and warnings have their places, FILE:LINE:COLUMN; a warning is no reason
to fail. Of a directory the files *.yaml, *.yml and *.json are looked at that hold
a TracingPolicy, also below it.

With --kernel it is asked whether functions, tracepoints and LSM hooks are there,
and whether arguments and paths of resolve are what the function takes. A full BTF
answers that; of a kernel that is only in the archive which tetrapy carries, the
members that the agent reads itself are known and nothing else: what has no answer
is reported as such and is no reason to fail. SARIF is for code review tools.
FILE is - for standard input, as of the other commands too.

Examples:
  tetrapy policy check policies/ --kernel /sys/kernel/btf/vmlinux
  tetrapy policy check a.yaml -o sarif > policies.sarif
""",
    ),
    Command(
        ("explain",), "what a policy will do, in plain words", "explain.run",
        arguments="FILE...", takes=ANY,
        text="""\
Hook by hook and selector by selector: what is read, when a call matches, what is
reported of it and what is done then, and about what it costs.
""",
    ),
    Command(
        ("record",), "the calls of a policy's hooks, for `test`", "record.run",
        arguments="FILE", takes=1,
        flags=(
            Flag(Setting("to", FILE, "", "run an agent that writes the events to this file, until"
                         " it is stopped (root)")),
        ),
        text="""\
Prints a copy of the policy that reports every call of its hooks and acts on nobody:
without selectors, of pods and containers too, macros, enforcers and options. Where an
agent runs it takes it:
  tetrapy policy record FILE | tetra tracingpolicy add -
  tetra getevents --policy-names NAME-recording > events.json
With --to it is run by an agent of its own, with namespaces, capabilities and
ancestors, which selectors ask for.
""",
    ),
    Command(
        ("test",), "what a policy would have done with recorded events", "replay.run",
        arguments="FILE", takes=1,
        flags=(
            Flag(Setting("replay", FILE, "", "the events, a line each, as exported", short="r")),
            output("text", "json"),
        ),
        text="""\
For each event of what the policy hooks: whether it is reported, by which selector, and
what is done. The model of selectors that decides is the one that a test holds to
the kernel. What an event does not say (namespaces without --enable-process-ns, names
of a container without --enable-container-names) leaves it undecided. Exit
code 1: one is undecided, or none is of what the policy hooks.
""",
    ),
    Command(
        ("library",), "the policies that tetrapy carries", "library.run",
        arguments="[list | show NAME...]", takes=ANY, flags=(output("text", "json"),),
        text="""\
An agent loads them by --tracing-policy library:NAME; check, explain, record and
test take library:NAME in place of a file. The comment of each says what it
sees, what it does not see, what it costs and needs.
""",
    ),
    Command(
        ("schema",), "the JSON Schema of policies, for editors", "schema.run",
        text="""\
Editors complete and check a policy whose first line is
  # yaml-language-server: $schema=FILE
""",
    ),
)  # fmt: skip
"""Of each the module of this package and function: `check.run`."""
