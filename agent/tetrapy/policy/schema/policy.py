# SPDX-License-Identifier: Apache-2.0
"""The whole document."""

from __future__ import annotations

from typing import List

from tetrapy.policy import names
from tetrapy.policy.schema.field import ANYTHING, FLAG, LIST, MAP, TEXT, Field, ObjectType
from tetrapy.policy.schema.hooks import KPROBE_HOOK, LSM_HOOK, TRACEPOINT, UPROBE, USDT
from tetrapy.policy.schema.selectors import LABEL_SELECTOR, SELECTOR

# RFC 1123: labels of 1 to 63 characters; Kubernetes allows 253 together.
NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
MAX_NAME = 253

_OF_THE_API_SERVER = (
    "selfLink uid resourceVersion generation creationTimestamp deletionTimestamp"
    " deletionGracePeriodSeconds ownerReferences finalizers managedFields"
).split()

METADATA = ObjectType(
    "Metadata",
    "What the policy is called.",
    [
        Field(
            "name",
            TEXT,
            "Name of the policy: small letters, digits, - and . in between.",
            pattern=NAME,
        ),
        Field("generateName", TEXT, "Beginning of a name that Kubernetes completes."),
        Field("namespace", TEXT, "Namespace of a TracingPolicyNamespaced."),
        Field("labels", TEXT, "Labels of the policy.", many=MAP),
        Field("annotations", TEXT, "Notes of others.", many=MAP),
        *(Field(name, ANYTHING, "Kept by Kubernetes; not read.") for name in _OF_THE_API_SERVER),
    ],
)
LIST_OF_NAMES = ObjectType(
    "NamedList",
    "Functions or system calls under one name, for list:NAME.",
    [
        Field("name", TEXT, "Name of the list.", required=True),
        Field("values", TEXT, "Functions; system calls as sys_read or i386/sys_read.", many=LIST),
        Field(
            "type",
            TEXT,
            "syscalls: values are system calls; generated_syscalls: all of this kernel;"
            " generated_ftrace: functions that pattern matches. Nothing: values are functions.",
            choices=("", *names.LIST_TYPES),
        ),
        Field("pattern", TEXT, "generated_ftrace: regular expression of the names."),
        Field("validated", FLAG, "Of no meaning; Tetragon's own."),
    ],
)
ENFORCER = ObjectType(
    "Enforcer",
    "System calls and security_ functions that NotifyEnforcer acts in.",
    [Field("calls", TEXT, "Functions, or list:NAME.", many=LIST, required=True)],
)
OPTION = ObjectType(
    "Option",
    "How the policy is loaded.",
    [
        Field("name", TEXT, "Name of the option.", required=True),
        Field("value", TEXT, "Its value."),
    ],
)
SPEC = ObjectType(
    "Spec",
    "What is hooked. Only one of kprobes, fentries, tracepoints, uprobes, usdts and lsmhooks.",
    [
        Field("kprobes", KPROBE_HOOK, "Kernel functions.", many=LIST),
        Field("tracepoints", TRACEPOINT, "Tracepoints.", many=LIST),
        Field("loader", FLAG, "Report programs and libraries that are mapped."),
        Field("uprobes", UPROBE, "Functions of programs and libraries.", many=LIST),
        Field("lsmhooks", LSM_HOOK, "Hooks of the security modules.", many=LIST),
        Field("usdts", USDT, "Static probes of programs.", many=LIST),
        Field("fentries", KPROBE_HOOK, "Kernel functions, through fentry and fexit.", many=LIST),
        Field(
            "podSelector",
            LABEL_SELECTOR,
            "Only these pods. A container without one counts as a pod.",
        ),
        Field(
            "containerSelector",
            LABEL_SELECTOR,
            "Only these containers, by name, repo and image.",
        ),
        Field("hostSelector", LABEL_SELECTOR, "Nothing, or {} for processes outside of pods."),
        Field("nodeSelector", LABEL_SELECTOR, "Nodes that load the policy. Needs Kubernetes."),
        Field("lists", LIST_OF_NAMES, "Lists of functions.", many=LIST),
        Field("enforcers", ENFORCER, "Where NotifyEnforcer acts.", many=LIST, most=1),
        Field("options", OPTION, "How the policy is loaded; unknown names are ignored.", many=LIST),
        Field(
            "selectorsMacros",
            SELECTOR,
            "Name -> filters that selectors add through macros.",
            many=MAP,
        ),
    ],
)
POLICY = ObjectType(
    "Policy",
    "A TracingPolicy, or a TracingPolicyNamespaced.",
    [
        Field("apiVersion", TEXT, names.API_VERSION + "; not checked."),
        Field("kind", TEXT, "Kind of the document.", required=True, choices=names.KINDS),
        Field("metadata", METADATA, "What the policy is called.", required=True),
        Field("spec", SPEC, "What is hooked.", required=True),
    ],
)


def object_types(root: ObjectType = POLICY) -> List[ObjectType]:
    """Every type of the document, each once, those that it is made of before it."""
    found: List[ObjectType] = []

    def visit(one: ObjectType) -> None:
        if one not in found:
            for field in one.fields:
                if field.object_type:
                    visit(field.object_type)
            found.append(one)

    visit(root)
    return found
