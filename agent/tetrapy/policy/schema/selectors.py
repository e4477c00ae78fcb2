# SPDX-License-Identifier: Apache-2.0
"""What decides whether a call is reported, and what is done then."""

from __future__ import annotations

from tetrapy.policy import names
from tetrapy.policy.schema.field import (
    FLAG,
    INT32,
    INT64,
    LIST,
    MAP,
    TEXT,
    UINT32,
    UINT64,
    Field,
    ObjectType,
)

LABEL_VALUE = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"

LABEL_REQUIREMENT = ObjectType(
    "LabelRequirement",
    "A condition on one label.",
    [
        Field("key", TEXT, "Key of the label.", required=True),
        Field(
            "operator",
            TEXT,
            "How the label's value is compared.",
            required=True,
            choices=("In", "NotIn", "Exists", "DoesNotExist"),
        ),
        Field("values", TEXT, "Values, for In and NotIn.", many=LIST),
    ],
)
LABEL_SELECTOR = ObjectType(
    "LabelSelector",
    "Conditions on labels, all of which must hold.",
    [
        Field("matchLabels", TEXT, "Label -> its value.", many=MAP, pattern=LABEL_VALUE),
        Field("matchExpressions", LABEL_REQUIREMENT, "Conditions on single labels.", many=LIST),
    ],
)

MATCH_PIDS = ObjectType(
    "MatchPIDs",
    "Processes by pid.",
    [
        Field("operator", TEXT, "In or NotIn.", required=True, choices=names.IN_OPERATORS),
        Field("values", UINT32, "Process ids.", many=LIST, required=True),
        Field("isNamespacePID", FLAG, "The ids are those in the process's pid namespace."),
        Field("followForks", FLAG, "Descendants of these processes match too."),
    ],
)
MATCH_ARGS = ObjectType(
    "MatchArgs",
    "A filter on an argument.",
    [
        Field(
            "index", UINT32, "The argument, by its position in the function, as in args[].index."
        ),
        Field(
            "args",
            UINT32,
            "The arguments of the operator, by their positions in the policy's list args; wins over"
            " index.",
            many=LIST,
        ),
        Field(
            "operator",
            TEXT,
            "How the argument is compared.",
            required=True,
            choices=tuple(names.OPERATORS),
        ),
        Field("values", TEXT, "What it is compared with; one that is equal is enough.", many=LIST),
    ],
)
MATCH_BINARIES = ObjectType(
    "MatchBinaries",
    "Processes by the path of their executable.",
    [
        Field(
            "operator",
            TEXT,
            "How the path is compared.",
            required=True,
            choices=names.BINARY_OPERATORS,
        ),
        Field("values", TEXT, "Paths, or their beginnings or ends.", many=LIST, required=True),
        Field("followChildren", FLAG, "Descendants match too; for In and NotIn."),
    ],
)
MATCH_NAMESPACES = ObjectType(
    "MatchNamespaces",
    "Processes by a namespace.",
    [
        Field("namespace", TEXT, "Kind of the namespace.", required=True, choices=names.NAMESPACES),
        Field("operator", TEXT, "In or NotIn.", required=True, choices=names.IN_OPERATORS),
        Field("values", TEXT, "Inode numbers, or host_ns.", many=LIST, required=True, most=4),
    ],
)
MATCH_NAMESPACE_CHANGES = ObjectType(
    "MatchNamespaceChanges",
    "Processes that changed a namespace since they were executed.",
    [
        Field("operator", TEXT, "In or NotIn.", required=True, choices=names.IN_OPERATORS),
        Field("values", TEXT, "Kinds of namespaces.", many=LIST, required=True),
    ],
)
MATCH_CAPABILITIES = ObjectType(
    "MatchCapabilities",
    "Processes by the capabilities that they have.",
    [
        Field(
            "type",
            TEXT,
            "Which set of capabilities.",
            default="Effective",
            choices=names.CAPABILITY_KINDS,
        ),
        Field("operator", TEXT, "In or NotIn.", required=True, choices=names.IN_OPERATORS),
        Field("isNamespaceCapability", FLAG, "Only in a user namespace that is not the host's."),
        Field("values", TEXT, "Names of capabilities: CAP_SYS_ADMIN.", many=LIST, required=True),
    ],
)
MATCH_WORKLOADS = ObjectType(
    "MatchWorkloads",
    "Pods and containers, as those of the whole policy.",
    [
        Field("podSelector", LABEL_SELECTOR, "Pods by their labels."),
        Field("containerSelector", LABEL_SELECTOR, "Containers by name, repo or image."),
        Field("hostSelector", LABEL_SELECTOR, "Nothing, or {} for processes outside of pods."),
    ],
)
ACTION = ObjectType(
    "Action",
    "What is done when a selector matches.",
    [
        Field(
            "action",
            TEXT,
            "Post reports the call, NoPost does not; the others act.",
            required=True,
            choices=tuple(names.ACTIONS),
        ),
        Field("argUrl", TEXT, "GetUrl: what is fetched."),
        Field("argFqdn", TEXT, "DnsLookup: the name that is looked up."),
        Field("argError", INT32, "Override, NotifyEnforcer: what the call returns, such as -1."),
        Field("argSig", UINT32, "Signal, NotifyEnforcer: number of the signal."),
        Field("argSock", UINT32, "TrackSock, UntrackSock: index of the socket's argument."),
        Field("argIndex", UINT32, "Set: position of the argument in args."),
        Field("argValue", UINT32, "Set: its new value."),
        Field("argRegs", TEXT, "Override of a uprobe: assignments of registers.", many=LIST),
        Field("argNewSymbol", TEXT, "Override of a uprobe: symbol that is called instead."),
        Field("argNewAddr", UINT64, "Override of a uprobe: address that is called instead."),
        Field("argNewOffset", INT64, "Override of a uprobe: offset that is called instead."),
        Field(
            "rateLimit",
            TEXT,
            "Post: nothing equal is reported again for this time: 5, 5s, 5m, 5h.",
        ),
        Field("rateLimitScope", TEXT, "Post: equal within a thread (default), process, or global."),
        Field("kernelStackTrace", FLAG, "Post: with the kernel's stack."),
        Field("userStackTrace", FLAG, "Post: with the process's stack."),
        Field("imaHash", FLAG, "Post of an LSM hook: with the file's hash from IMA."),
    ],
)
SELECTOR = ObjectType(
    "Selector",
    "Filters that must all match, and what is done then. One without filters matches.",
    [
        Field("label", TEXT, "Name of the selector in figures."),
        Field("matchPIDs", MATCH_PIDS, "Processes by pid.", many=LIST, attribute="match_pids"),
        Field("matchArgs", MATCH_ARGS, "Filters on arguments.", many=LIST, most=5),
        Field("matchData", MATCH_ARGS, "Filters on data; index is into data.", many=LIST, most=5),
        Field("matchActions", ACTION, "What is done; nothing means Post.", many=LIST, most=3),
        Field("matchReturnArgs", MATCH_ARGS, "Filters on what is returned.", many=LIST, most=5),
        Field(
            "matchReturnActions",
            ACTION,
            "What is done when matchReturnArgs match.",
            many=LIST,
            most=3,
        ),
        Field("matchBinaries", MATCH_BINARIES, "Processes by executable.", many=LIST, most=1),
        Field(
            "matchParentBinaries",
            MATCH_BINARIES,
            "Processes by their parent's executable.",
            many=LIST,
            most=1,
        ),
        Field("matchNamespaces", MATCH_NAMESPACES, "Processes by namespace.", many=LIST, most=10),
        Field(
            "matchNamespaceChanges",
            MATCH_NAMESPACE_CHANGES,
            "Processes that changed a namespace.",
            many=LIST,
            most=1,
        ),
        Field("matchCapabilities", MATCH_CAPABILITIES, "Processes by capability.", many=LIST),
        Field(
            "matchCapabilityChanges",
            MATCH_CAPABILITIES,
            "Processes whose capabilities changed.",
            many=LIST,
        ),
        Field("matchWorkloads", MATCH_WORKLOADS, "Pods, containers and the host."),
        Field("macros", TEXT, "Names of selectorsMacros whose filters are added.", many=LIST),
    ],
)
