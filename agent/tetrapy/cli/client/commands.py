# SPDX-License-Identifier: Apache-2.0
"""The table of commands. Names, flags and defaults are those of Tetragon's client."""

from __future__ import annotations

from typing import Tuple

from tetrapy.cli.client.command import ANY, EXPRESSIONS, Command, Flag
from tetrapy.cli.client.flags import DOMAIN, MODE, NAMESPACE, output
from tetrapy.config.setting import BOOL, DURATION, FILE, INT, LIST, SECOND, STRING, Setting
from tetrapy.events.schema import EVENT_TYPES

_EXAMPLES_OF_EVENTS = """\
Events come from the agent, or from standard input when that is no terminal: lines
of an export file. What is no event is passed over.

Examples:
  # events of programs named netserver
  {program} getevents --process netserver
  # an export file, for people
  {program} getevents -o compact < /var/log/tetrapy.json
  # without the parent, or nothing but the process and the parent's pod
  {program} getevents -F parent
  {program} getevents -f process,parent.pod
"""


def _list(name: str, help_: str, short: str = "", hidden: bool = False) -> Flag:
    return Flag(Setting(name, LIST, (), help_, short=short), hidden)


def _switch(name: str, help_: str, default: bool = False) -> Flag:
    return Flag(Setting(name, BOOL, default, help_))


_EVENTS = Command(
    ("getevents",), "print events", "getevents.run", takes=ANY, text=_EXAMPLES_OF_EVENTS,
    flags=(
        output("json", "compact"),
        Flag(Setting("color", STRING, "auto", "colours in compact output",
                     choices=("auto", "always", "never"))),
        _list("include-fields", "show only these fields", "f"),
        Flag(Setting("event-types", LIST, (), "only events of these types", short="e",
                     choices=tuple(sorted(EVENT_TYPES)))),
        _list("exclude-fields", "do not show these fields", "F"),
        _list("namespace", "only of these Kubernetes namespaces", "n"),
        _list("namespaces", "the same", hidden=True),
        _list("process", "only of programs that match one of these regular expressions"),
        _list("processes", "the same", hidden=True),
        _list("containers", "only of containers whose name matches", hidden=True),
        _list("pod", "only of pods whose name matches one of these regular expressions"),
        _list("pods", "the same", hidden=True),
        _switch("host", "only of processes in no pod"),
        _switch("timestamps", "begin compact lines with the time"),
        Flag(Setting("tty-encode", STRING, "", "show nothing but what is written to this terminal",
                     short="t")),
        _switch("stack-traces", "show stacks in compact output", True),
        _switch("ima-hash", "show hashes of IMA in compact output", True),
        _list("policy-names", "only events of these policies"),
        _list("namespace-regex", "only of namespaces that match"),
        Flag(Setting("cel-expression", EXPRESSIONS, (),
                     "only events for which one of these CEL expressions holds")),
        _switch("reconnect", "connect again, whatever went wrong"),
        Flag(Setting("reconnect-wait", DURATION, 2 * SECOND, "how long to wait before that")),
    ),
)  # fmt: skip

_VERSION = Command(
    ("version",), "print the version of this program and of the agent", "version.run",
    flags=(
        Flag(Setting("server", BOOL, False, "ask the agent for its version", short="s")),
        Flag(Setting("build", BOOL, False, "print what this program is made of", short="b")),
    ),
)  # fmt: skip
_PROBE = (
    Command(("probe",), "print what the running kernel can do", "probe.run", takes=ANY,
            flags=(output("text", "json"),)),
    Command(("probe", "config"), "print how the running kernel was built", "probe.run_config",
            takes=ANY),
)  # fmt: skip
_BUGTOOL = Command(
    ("bugtool",), "write an archive with what a maintainer needs, and no events", "bugtool.run",
    takes=ANY,
    flags=(
        Flag(Setting("out", FILE, "tetragon-bugtool.tar.gz", "the archive", short="o")),
        Flag(Setting("bpftool", FILE, "", "not used: the kernel is asked itself"), hidden=True),
        Flag(Setting("gops", FILE, "", "not used: the agent is no program in Go"), hidden=True),
    ),
)  # fmt: skip

_POLICY = "tracingpolicy"
_NAMED = (NAMESPACE, DOMAIN)
_POLICIES = (
    Command((_POLICY,), "manage the policies of the agent", aliases=("tp",)),
    Command((_POLICY, "add"), "load a policy", "tracingpolicy.add", "<yaml_file>", 1,
            (MODE, DOMAIN)),
    Command((_POLICY, "delete"), "unload a policy", "tracingpolicy.delete", "<name>", 1, _NAMED),
    Command((_POLICY, "enable"), "load a policy again that was disabled", "tracingpolicy.enable",
            "<name>", 1, _NAMED),
    Command((_POLICY, "disable"), "unload a policy, and keep it", "tracingpolicy.disable",
            "<name>", 1, _NAMED),
    Command((_POLICY, "set-mode"), "have a policy act, or only report", "tracingpolicy.set_mode",
            "<name> <mode>", 2, _NAMED, text="Modes: enforce, monitor."),
    Command((_POLICY, "list"), "list the policies", "tracingpolicy.list_all",
            flags=(output("text", "json"), DOMAIN)),
    Command((_POLICY, "domains"), "list the domains of policies", "tracingpolicy.domains",
            flags=(output("text", "json"),)),
    Command((_POLICY, "modify"), "print a policy's file with another mode",
            "tracingpolicy.modify", "<yaml_file>", 1, (MODE,)),
)  # fmt: skip
_MATCH = Flag(Setting("match-binary", STRING, "", "hook calls of this program alone", short="m"))
_BINARY = Flag(Setting("binary", FILE, "", "the program", short="b"))
_GENERATE = (
    Command((_POLICY, "generate"), "print a policy of many hooks"),
    Command((_POLICY, "generate", "empty"), "a policy without hooks", "generate.empty", takes=ANY,
            flags=(Flag(_MATCH.row, hidden=True),)),
    Command((_POLICY, "generate", "all-syscalls"), "a hook for each system call",
            "generate.all_system_calls", takes=ANY, flags=(_MATCH,)),
    Command((_POLICY, "generate", "all-syscalls-list"), "a hook for a list of all system calls",
            "generate.list_of_system_calls", takes=ANY, flags=(_MATCH,)),
    Command((_POLICY, "generate", "ftrace-list"), "a hook for a list of functions of the kernel",
            "generate.list_of_functions", takes=ANY,
            flags=(Flag(Setting("regex", STRING, "", "of those that match", short="r")), _MATCH)),
    Command((_POLICY, "generate", "uprobes"), "a hook for the functions of a program",
            "generate.uprobes", takes=ANY,
            flags=(_BINARY, _MATCH)),
    Command((_POLICY, "generate", "usdts"), "a hook for each static probe of a program",
            "generate.usdts", takes=ANY, flags=(_BINARY, _MATCH)),
)  # fmt: skip
_AGENT = (
    Command(("status",), "print how the agent is", "agent.status", takes=ANY),
    Command(("info",), "print what the agent says of itself", "agent.info"),
    Command(("loglevel",), "the level of the agent's log", aliases=("log",)),
    Command(("loglevel", "get"), "print the level", "agent.level", takes=ANY),
    Command(("loglevel", "set"), "change the level until the agent stops", "agent.set_level",
            "<level>", ANY, text="Levels: trace, debug, info, warning, error, fatal, panic."),
    Command(("eventlog",), "the rules of the agent's export file"),
    Command(("eventlog", "get"), "print the rules", "agent.event_log"),
    Command(
        ("eventlog", "set"), "change the rules until the agent stops", "agent.set_event_log",
        takes=ANY,
        flags=(
            Flag(Setting("max-size", INT, None, "size at which the file is rotated, in MB")),
            Flag(Setting("max-backups", INT, None, "rotated files that are kept")),
            Flag(Setting("rotation-interval", DURATION, None, "time after which it is rotated")),
        ),
    ),
)  # fmt: skip
_SENSORS = (
    Command(
        ("sensors",),
        "sensors, which only old agents have",
        hidden=True,
        text="Agents of today know tracingpolicy instead.",
    ),
    Command(("sensors", "list"), "list the sensors", "sensors.list_all", takes=ANY),
    Command(("sensors", "enable"), "enable a sensor", "sensors.enable", "<sensor>", 1),
    Command(("sensors", "disable"), "disable a sensor", "sensors.disable", "<sensor>", 1),
    Command(("sensors", "rm"), "remove a sensor", "sensors.remove", "<sensor>", 1),
)
_RUNTIME_HOOKS = (
    Command(("rthooks",), "tell the agent what a container runtime would, to try it", hidden=True),
    Command(
        ("rthooks", "create-container"), "tell of a new container", "agent.create_container",
        takes=ANY,
        flags=(
            Flag(Setting("container-id", STRING, "", "its cgroup, or its id")),
            Flag(Setting("root-dir", FILE, "", "the root directory of its processes")),
            Flag(Setting("annotations", LIST, (), "its annotations: name=value,name=value")),
        ),
    ),
)  # fmt: skip
_CACHE_FLAGS = (
    _switch("skip-zero-refcnt", "leave out processes that nothing refers to"),
    _switch("exclude-execve-map-processes", "leave out processes that the kernel side knows too"),
)
_MAP_FILE = Flag(Setting("map-fname", FILE, "", "not used: nothing is pinned"), hidden=True)
_PROGRAM_FLAGS = (
    _switch("all", "all programs of the kernel"),
    _switch("once", "print once, and end"),
    Flag(Setting("timeout", INT, 1, "seconds between two looks")),
    _switch("no-clear", "leave on the screen what was printed before"),
    Flag(Setting("bpf-lib", FILE, "", "not used"), hidden=True),
    Flag(Setting("bpf-dir", FILE, "", "not used: nothing is pinned"), hidden=True),
)


def _not_here(group: Tuple[str, ...]) -> Tuple[Command, ...]:
    flags = (_MAP_FILE, output("tab", "json"))
    return tuple(
        Command((*group, name), "not kept by tetrapy", f"not_here.{function}", flags=flags)
        for name, function in (
            ("execve", "execve_map"),
            ("policyfilter", "policy_filter"),
            ("errmetrics", "error_metrics"),
        )
    )


_DUMPS = (
    Command(("dump",), "print what the agent keeps", hidden=True),
    Command(("dump", "processcache"), "print the processes that the agent knows",
            "agent.process_cache", flags=_CACHE_FLAGS, aliases=("processCache",)),
    *_not_here(("dump",)),
    Command(("debug",), "look into the agent", hidden=True),
    Command(("debug", "dump"), "print what the agent keeps"),
    Command(("debug", "dump", "processcache"), "print the processes that the agent knows",
            "agent.process_cache", flags=_CACHE_FLAGS, aliases=("processCache",)),
    *_not_here(("debug", "dump")),
    Command(("debug", "progs"), "print what the agent's BPF programs take", "debug.progs",
            takes=ANY, flags=_PROGRAM_FLAGS, aliases=("top",)),
    Command(
        ("debug", "maps"), "print what the agent's BPF maps take", "debug.maps", takes=ANY,
        flags=(
            Flag(Setting("lines", INT, 10, "lines of the table; 0 for all", short="n")),
            output("tab", "json"),
            Flag(Setting("path", FILE, "", "not used: nothing is pinned"), hidden=True),
        ),
        aliases=("map",),
    ),
    Command(("debug", "enable-stats"), "have the kernel measure BPF programs while this runs",
            "debug.enable_stats", takes=ANY),
)  # fmt: skip
_TEST_FLAGS = (
    *[Flag(Setting(name, BOOL, False, "not used"), hidden=True)
      for name in ("all-params", "all-tests", "list-params", "monitor-mode")],
    *[Flag(Setting(name, LIST, (), "not used"), hidden=True)
      for name in ("bindir", "dump-policy-path", "output", "output-file", "set-param")],
)  # fmt: skip
_FILTERS = (
    Command(("policyfilter",), "which policies are for which cgroups", hidden=True),
    Command(("policyfilter", "cgroupid"), "print the number of a cgroup", "not_here.cgroup_id",
            "<directory>", 1, (_MAP_FILE,)),
    Command(("policyfilter", "dump"), "print the filters", "not_here.policy_filter",
            flags=(_MAP_FILE,)),
    Command(("policyfilter", "add"), "add to the filters", "not_here.policy_filter",
            "<policy id> <cgroup>", 2,
            (_MAP_FILE, Flag(Setting("arg-type", STRING, "file", "what <cgroup> is",
                                     choices=("file", "id"))))),
    Command(("policyfilter", "listpolicies"), "list the policies for a container",
            "not_here.policy_filter", "<container id>", 1,
            (_MAP_FILE, Flag(Setting("runtime-endpoint", STRING, "", "socket of the runtime",
                                     short="r")),
             Flag(Setting("cgroup-mount", FILE, "", "where cgroups are mounted")))),
    Command(("cgtracker",), "which cgroups belong to which container", hidden=True),
    Command(("cgtracker", "dump"), "print them", "not_here.cgroup_tracker", flags=(_MAP_FILE,)),
    Command(("cgtracker", "add"), "add one", "not_here.cgroup_tracker", "<tracked> <tracker>", 2,
            (_MAP_FILE,)),
    Command(("policytest",), "Tetragon's tests of its own policies", hidden=True,
            aliases=("pt",)),
    *[Command(("policytest", name), "not carried", "not_here.policy_tests", takes=ANY,
              flags=_TEST_FLAGS)
      for name in ("list", "dump-policy", "run")],
)  # fmt: skip
_EXPLAIN = Command(
    ("explain",), "print what the fields of policies are", "explain.run", "<resource>[.<field>...]",
    ANY,
    (
        output("text", "json", "yaml"),
        Flag(Setting("recursive", BOOL, False, "fields of fields, too", short="R")),
        Flag(Setting("example", BOOL, False, "not used: there are none"), hidden=True),
        Flag(Setting("list", BOOL, False, "list the resources")),
        Flag(Setting("api-version", STRING, "", "of the resource: v1alpha1")),
    ),
    text="""\
Examples:
  {program} explain tracingpolicy
  {program} explain tracingpolicy.spec.kprobes
  {program} explain tracingpolicy[spec][kprobes] -o json
""",
)  # fmt: skip

_CRI_FLAGS = (
    output("raw", "json"),
    Flag(Setting("runtime-endpoint", STRING, "",
                 "socket of the runtime; unless given, those of containerd, CRI-O and cri-dockerd"
                 " are tried", short="r")),
)  # fmt: skip
_CRI = (
    Command(("cri",), "ask the container runtime of this host"),
    Command(("cri", "version"), "print the versions of the runtime and its interface",
            "cri.version", flags=_CRI_FLAGS),
    Command(("cri", "cgroup_path"), "print the path of a container's cgroup", "cri.cgroup_path",
            "<container>", 1, _CRI_FLAGS),
)  # fmt: skip
_COMPLETION = Command(
    ("completion",), "print what a shell completes", "completion.run", "<shell>", 1,
    text="Shells: bash, zsh, fish.\n\nExample:\n  source <({program} completion bash)",
)  # fmt: skip

COMMANDS: Tuple[Command, ...] = (
    _EVENTS, _VERSION, *_AGENT, *_POLICIES, *_GENERATE, *_SENSORS, *_PROBE, _BUGTOOL, *_CRI,
    *_RUNTIME_HOOKS, *_DUMPS, *_FILTERS, _EXPLAIN, _COMPLETION,
)  # fmt: skip
"""A group stands before its commands."""
