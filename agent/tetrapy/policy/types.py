# SPDX-License-Identifier: Apache-2.0
"""A policy as objects, one class for each type of the schema.

Written by `python3 -m tools.policy_docs` from the schema of policies; do not edit.
"""

from __future__ import annotations

from typing import Mapping, Optional, Tuple

from tetrapy.policy.part import Part


class Metadata(Part):
    """What the policy is called."""

    name: str
    generate_name: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class Argument(Part):
    """What is read of a call and reported."""

    index: int
    type: str
    resolve: str
    size_arg_index: int
    return_copy: bool
    max_data: bool
    label: str
    source: str
    btf_type: str
    btf_type_module: str


class MatchPIDs(Part):
    """Processes by pid."""

    operator: str
    values: Tuple[int, ...]
    is_namespace_pid: bool
    follow_forks: bool


class MatchArgs(Part):
    """A filter on an argument."""

    index: int
    args: Tuple[int, ...]
    operator: str
    values: Tuple[str, ...]


class Action(Part):
    """What is done when a selector matches."""

    action: str
    arg_url: str
    arg_fqdn: str
    arg_error: int
    arg_sig: int
    arg_sock: int
    arg_index: int
    arg_value: int
    arg_regs: Tuple[str, ...]
    arg_new_symbol: str
    arg_new_addr: int
    arg_new_offset: int
    rate_limit: str
    rate_limit_scope: str
    kernel_stack_trace: bool
    user_stack_trace: bool
    ima_hash: bool


class MatchBinaries(Part):
    """Processes by the path of their executable."""

    operator: str
    values: Tuple[str, ...]
    follow_children: bool


class MatchNamespaces(Part):
    """Processes by a namespace."""

    namespace: str
    operator: str
    values: Tuple[str, ...]


class MatchNamespaceChanges(Part):
    """Processes that changed a namespace since they were executed."""

    operator: str
    values: Tuple[str, ...]


class MatchCapabilities(Part):
    """Processes by the capabilities that they have."""

    type: str
    operator: str
    is_namespace_capability: bool
    values: Tuple[str, ...]


class LabelRequirement(Part):
    """A condition on one label."""

    key: str
    operator: str
    values: Tuple[str, ...]


class LabelSelector(Part):
    """Conditions on labels, all of which must hold."""

    match_labels: Mapping[str, str]
    match_expressions: Tuple[LabelRequirement, ...]


class MatchWorkloads(Part):
    """Pods and containers, as those of the whole policy."""

    pod_selector: Optional[LabelSelector]
    container_selector: Optional[LabelSelector]
    host_selector: Optional[LabelSelector]


class Selector(Part):
    """Filters that must all match, and what is done then. One without filters matches."""

    label: str
    match_pids: Tuple[MatchPIDs, ...]
    match_args: Tuple[MatchArgs, ...]
    match_data: Tuple[MatchArgs, ...]
    match_actions: Tuple[Action, ...]
    match_return_args: Tuple[MatchArgs, ...]
    match_return_actions: Tuple[Action, ...]
    match_binaries: Tuple[MatchBinaries, ...]
    match_parent_binaries: Tuple[MatchBinaries, ...]
    match_namespaces: Tuple[MatchNamespaces, ...]
    match_namespace_changes: Tuple[MatchNamespaceChanges, ...]
    match_capabilities: Tuple[MatchCapabilities, ...]
    match_capability_changes: Tuple[MatchCapabilities, ...]
    match_workloads: Optional[MatchWorkloads]
    macros: Tuple[str, ...]


class KprobeIgnore(Part):
    """What does not keep a policy from loading."""

    call_not_found: bool


class KprobeHook(Part):
    """A kernel function, by kprobe or fentry."""

    call: str
    returns: bool
    syscall: bool
    message: str
    args: Tuple[Argument, ...]
    data: Tuple[Argument, ...]
    return_arg: Optional[Argument]
    return_arg_action: str
    selectors: Tuple[Selector, ...]
    tags: Tuple[str, ...]
    ignore: Optional[KprobeIgnore]


class Tracepoint(Part):
    """A tracepoint of the kernel: /sys/kernel/tracing/events/SUBSYSTEM/EVENT."""

    subsystem: str
    event: str
    raw: bool
    message: str
    args: Tuple[Argument, ...]
    selectors: Tuple[Selector, ...]
    tags: Tuple[str, ...]


class UprobeIgnore(Part):
    """What does not keep a policy from loading."""

    digest_verification_failure: bool


class Uprobe(Part):
    """A function of a program or library: one of symbols, offsets and addrs says where."""

    path: str
    btf_path: str
    symbols: Tuple[str, ...]
    offsets: Tuple[int, ...]
    addrs: Tuple[int, ...]
    ref_ctr_offsets: Tuple[int, ...]
    message: str
    selectors: Tuple[Selector, ...]
    args: Tuple[Argument, ...]
    data: Tuple[Argument, ...]
    tags: Tuple[str, ...]
    returns: bool
    return_arg: Optional[Argument]
    binary_digests: Tuple[str, ...]
    ignore: Optional[UprobeIgnore]


class LsmHook(Part):
    """A hook of the security modules."""

    hook: str
    message: str
    args: Tuple[Argument, ...]
    selectors: Tuple[Selector, ...]
    tags: Tuple[str, ...]


class Usdt(Part):
    """A static probe of a program."""

    path: str
    btf_path: str
    provider: str
    name: str
    tags: Tuple[str, ...]
    message: str
    args: Tuple[Argument, ...]
    selectors: Tuple[Selector, ...]


class NamedList(Part):
    """Functions or system calls under one name, for list:NAME."""

    name: str
    values: Tuple[str, ...]
    type: str
    pattern: str
    validated: bool


class Enforcer(Part):
    """System calls and security_ functions that NotifyEnforcer acts in."""

    calls: Tuple[str, ...]


class Option(Part):
    """How the policy is loaded."""

    name: str
    value: str


class Spec(Part):
    """What is hooked. Only one of kprobes, fentries, tracepoints, uprobes, usdts and lsmhooks."""

    kprobes: Tuple[KprobeHook, ...]
    tracepoints: Tuple[Tracepoint, ...]
    loader: bool
    uprobes: Tuple[Uprobe, ...]
    lsmhooks: Tuple[LsmHook, ...]
    usdts: Tuple[Usdt, ...]
    fentries: Tuple[KprobeHook, ...]
    pod_selector: Optional[LabelSelector]
    container_selector: Optional[LabelSelector]
    host_selector: Optional[LabelSelector]
    node_selector: Optional[LabelSelector]
    lists: Tuple[NamedList, ...]
    enforcers: Tuple[Enforcer, ...]
    options: Tuple[Option, ...]
    selectors_macros: Mapping[str, Selector]


class Policy(Part):
    """A TracingPolicy, or a TracingPolicyNamespaced."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: Spec
