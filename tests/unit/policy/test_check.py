# SPDX-License-Identifier: Apache-2.0
"""TracingPolicy: the rules that tie fields together."""

from __future__ import annotations

import pytest

from tests.support.policies import HEAD, kprobe, lines, match, read, selector, spec

HOOK = "call: f, syscall: false"
NAMESPACED = HEAD.replace("TracingPolicy", "TracingPolicyNamespaced").replace(
    "{name: a}", "{name: a, namespace: n}"
)
UPROBE = "  uprobes:\n  - {path: /bin/sh, "
LSM = "  lsmhooks:\n  - {hook: file_open, args: [{index: 0, type: file}], selectors: [{"


def hooks(*rows: str, section: str = "kprobes") -> str:
    """A policy with hooks, each in a flow."""
    return spec(f"  {section}:\n" + "".join(f"  - {{{row}}}\n" for row in rows))


REFUSED = [
    # names, kinds of hooks, scopes
    (HEAD.replace("{name: a}", "{}") + "  loader: true", "metadata.name: is missing"),
    (
        HEAD.replace("name: a", "name: " + "a" * 254) + "  loader: true",
        "metadata.name: has more than",
    ),
    (
        spec("  kprobes: [{call: f}]\n  usdts: [{path: /a, provider: b, name: c}]"),
        "spec.usdts: a policy has only one kind of hooks; this one has kprobes and usdts",
    ),
    (spec("  hostSelector: {matchLabels: {a: b}}"), "spec.hostSelector: may be nothing or {}"),
    (NAMESPACED + "  hostSelector: {}", "spec.hostSelector: is not for a TracingPolicyNamespaced"),
    (NAMESPACED + UPROBE + "symbols: [main]}", "spec.uprobes: are not for a TracingPolicyNamespac"),
    (spec("  loader: true\n  podSelector: {}"), "spec.loader: cannot be limited to pods"),
    # lists and options
    (
        spec("  lists: [{name: a, type: generated_syscalls, values: [b]}]"),
        "spec.lists[0].values: mu",
    ),
    (spec("  lists: [{name: a, type: generated_ftrace}]"), "spec.lists[0].pattern: is missing"),
    (spec("  lists: [{name: a, type: syscalls, values: [read]}]"), 'spec.lists[0].values[0]: "rea'),
    (spec("  lists: [{name: a, type: syscalls, values: [x/sys_a]}]"), "spec.lists[0].values[0]: "),
    (spec("  options: [{name: policy-mode, value: no-such}]"), "spec.options[0].value: "),
    (spec('  options: [{name: disable-kprobe-multi, value: ""}]'), "spec.options[0].value: "),
    (spec("  options: [{name: written-path, value: sure}]"), "spec.options[0].value: "),
    (spec('  options: [{name: sleepable-preload-size, value: "0"}]'), "spec.options[0].value: "),
    (
        hooks(*["call: f"] * 1024),
        "spec.kprobes: has 1024 hooks; at most 1023 are su",
    ),
    # functions
    (hooks("call: 'list:a'"), 'spec.kprobes[0].call: "list:a" names the list "a", which is not t'),
    (hooks('call: ""'), "spec.kprobes[0].call: is empty"),
    (hooks("call: f, return: true"), "spec.kprobes[0].returnArg: is missing: return: true needs"),
    (hooks("call: f, return: true, returnArg: {index: 0}"), "spec.kprobes[0].returnArg.type: is a"),
    (hooks("call: f, returnArgAction: Post"), 'spec.kprobes[0].returnArgAction: is "Post"; TrackS'),
    (hooks("call: f, message: m"), "spec.kprobes[0].message: has 1 bytes; at least 2 are needed"),
    (
        hooks("call: f, tags: [ab, c]"),
        "spec.kprobes[0].tags[1]: has 1 bytes; at least 2 are needed",
    ),
    (hooks('call: f, tags: [""]'), "spec.kprobes[0].tags[0]: has 0 bytes; at least 2 are needed"),
    # arguments
    (
        hooks("call: f, args: [{index: 0}]"),
        "spec.kprobes[0].args[0].type: is auto, which only trac",
    ),
    (
        hooks("call: f, args: [{index: 0, type: syscall64}]"),
        "spec.kprobes[0].args[0].type: is sysca",
    ),
    (
        hooks("call: f, args: [{index: 5, type: int}]"),
        "spec.kprobes[0].args[0].index: is 5; only the",
    ),
    (
        hooks(
            "subsystem: a, event: b, raw: true, args: [{index: 6, type: int}]",
            section="tracepoints",
        ),
        "spec.tracepoints[0].args[0].index: is 6",
    ),
    (
        kprobe(kind="char_buf, sizeArgIndex: 16"),
        "spec.kprobes[0].args[0].sizeArgIndex: is 16; at m",
    ),
    (kprobe(kind="int, source: pt_regs"), "spec.kprobes[0].args[0].source: is for data"),
    (
        kprobe(kind='int, resolve: "a[0"'),
        'spec.kprobes[0].args[0].resolve: "a[0" is no path at col',
    ),
    (kprobe(kind="int, resolve: a.b.c.d.e.f.g.h.i.j.k"), "spec.kprobes[0].args[0].resolve: "),
    (
        kprobe(", data: [{index: 0, type: int, resolve: pid}]"),
        "spec.kprobes[0].data[0].source: is m",
    ),
    (
        kprobe(", data: [{index: 0, type: int, source: nowhere, resolve: pid}]"),
        'source: is "nowhere"',
    ),
    (
        kprobe(", data: [{index: 0, type: int, source: current_task}]"),
        "data[0].resolve: is missing",
    ),
    (
        kprobe(
            ", data: [" + "{index: 0, type: int, source: current_task, resolve: pid}," * 5 + "]"
        ),
        "spec.kprobes[0].data: has 5 elements besides 1 of args; together at most 5",
    ),
    # uprobes
    (
        spec(UPROBE + "message: hi}"),
        "spec.uprobes[0]: one of symbols, offsets and addrs says where",
    ),
    (
        spec(UPROBE + "symbols: [a], addrs: [1]}"),
        "spec.uprobes[0].addrs: one of symbols, offsets a",
    ),
    (
        spec(UPROBE + "symbols: [a], refCtrOffsets: [1, 2]}"),
        "refCtrOffsets: has 2 elements, but sym",
    ),
    (spec(UPROBE + "symbols: [a+b]}"), 'spec.uprobes[0].symbols[0]: "a+b" '),
    (spec(UPROBE + "symbols: [a+1+2]}"), 'spec.uprobes[0].symbols[0]: "a+1+2" is no symbol'),
    (spec(UPROBE + 'symbols: [a], binaryDigests: ["md5:00"]}'), "binaryDigests[0]: "),
    (spec(UPROBE + 'symbols: [a], binaryDigests: ["sha1:00"]}'), "has 40 hexadecimal digits"),
    # selectors
    (
        selector("{macros: [m]}"),
        'macros[0]: "m" is no macro of this policy; spec.selectorsMacros is',
    ),
    (match("Equal", "x"), 'matchArgs[0].values[0]: "x" is no whole number'),
    (match("Equal", *"12345"), "matchArgs[0]: has 5 values; at most 4 are supported here: InMap"),
    (
        match("DPort", "80"),
        "matchArgs[0]: DPort is for skb, sock, sockaddr, socket; the argument's",
    ),
    (match("DPort", "80", kind="sockaddr"), "matchArgs[0]: a sockaddr supports SAddr"),
    (
        match("InMap", "list:a", kind="uint64"),
        'matchArgs[0].values: names the list "a", which is not',
    ),
    (
        selector("{matchArgs: [{index: 3, operator: Equal}]}"),
        "matchArgs[0]: index 3 is not among thos",
    ),
    (
        selector("{matchArgs: [{args: [1], operator: Equal}]}"),
        "matchArgs[0]: there is no element 1",
    ),
    (
        selector("{matchData: [{index: 0, operator: Equal}]}"),
        "matchData[0]: there is no element 0: t",
    ),
    (match("CelExpr", "arg0 =="), "matchArgs[0].values[0]: "),
    (match("CelExpr"), "matchArgs[0]: CelExpr takes one value"),
    (match("CapabilitiesGained"), "matchArgs[0]: CapabilitiesGained takes two args"),
    (
        selector("{matchBinaries: [{operator: Prefix, followChildren: true, values: [/a]}]}"),
        "matchBinaries[0].followChildren: is for In and NotIn; the operator is Prefix",
    ),
    (
        selector(f"{{matchBinaries: [{{operator: In, values: [{'a' * 256}]}}]}}"),
        "has 256 bytes; at mo",
    ),
    (
        selector(f"{{matchBinaries: [{{operator: Postfix, values: [{'a' * 128}]}}]}}"),
        "has 128 bytes",
    ),
    (
        selector("{matchNamespaces: [{namespace: Pid, operator: In, values: [x]}]}"),
        "is no inode numb",
    ),
    (
        selector("{matchNamespaceChanges: [{operator: In, values: [Pod]}]}"),
        "names no kind of namespa",
    ),
    (
        selector("{matchCapabilities: [{operator: In, values: [SYS_ADMIN]}]}"),
        "did you mean CAP_SYS_",
    ),
    (
        selector("{matchWorkloads: {hostSelector: {matchLabels: {a: b}}}}"),
        "matchWorkloads.hostSelect",
    ),
    # actions
    (
        selector("{matchActions: [{action: NoPost, rateLimit: '5'}]}"),
        "rateLimit: is for Post; the a",
    ),
    (selector("{matchActions: [{action: Post, rateLimit: 5d}]}"), 'rateLimit: "5d" is no time'),
    (selector("{matchActions: [{action: Post, rateLimit: m}]}"), 'rateLimit: "m" is no time'),
    (
        selector("{matchActions: [{action: Post, rateLimit: 5m, rateLimitScope: threat}]}"),
        'rateLimitScope: is "threat"; did you mean thread? One of',
    ),
    (
        selector("{matchActions: [{action: NoPost, userStackTrace: true}]}"),
        "userStackTrace: is for",
    ),
    (
        selector("{matchActions: [{action: Override, argError: -1}]}"),
        "Override is supported for syst",
    ),
    (selector("{matchActions: [{action: NotifyEnforcer}]}"), "NotifyEnforcer needs spec.enforcers"),
    (spec(LSM + "matchActions: [{action: GetUrl}]}]}"), "GetUrl is not supported for LSM hooks"),
    (spec(LSM + "matchActions: [{action: Post, kernelStackTrace: true}]}]}"), "for LSM hooks"),
    (
        spec(LSM + "matchReturnArgs: [{operator: Equal}]}]}"),
        "matchReturnArgs: is not for LSM hooks",
    ),
    (
        spec(UPROBE + "symbols: [a], selectors: [{matchActions: [{action: DnsLookup}]}]}"),
        "DnsLookup is not supported for uprobes",
    ),
    (
        hooks(f"{HOOK}, selectors: [{{matchActions: [{{action: Signal}}]}}]", section="fentries"),
        "Signal is not supported for fentries",
    ),
    (
        selector("{matchActions: [{action: Post, argNewSymbol: a, argNewAddr: 1}]}"),
        "has more than one of argNewSymbol",
    ),
    (
        spec(UPROBE + "symbols: [a+0x4], selectors: [{matchActions: [{action: Override}]}]}"),
        "has the function return argError",
    ),
    (
        selector("{matchActions: [{action: Set, argIndex: 0, argValue: 1}]}"),
        "matchActions[0].action: Set is for usdts",
    ),
    (
        spec(
            "  usdts: [{path: /a, provider: p, name: n, args: [{index: 3, type: int}],"
            " selectors: [{matchActions: [{action: Set, argIndex: 1}]}]}]"
        ),
        "matchActions[0].argIndex: is 1; args has 1 entries",
    ),
    (
        spec("  enforcers: [{calls: [tcp_close]}]"),
        'spec.enforcers[0].calls[0]: "tcp_close" is neither',
    ),
    (spec("  enforcers: [{calls: ['list:x']}]"), 'spec.enforcers[0].calls[0]: names the list "x"'),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_is_refused(text: str, message: str) -> None:
    """The rule is named, at its place."""
    found = lines(text)
    assert any(message in line for line in found), found


WARNED = [
    (spec("  {}"), "spec: has no hooks"),
    (spec("  loader: true\n  nodeSelector: {}"), "spec.nodeSelector: has no effect"),
    (spec("  loader: true\n  options: [{name: policy-mod}]"), "did you mean policy-mode? One of"),
    (hooks(f"{HOOK}, message: {'m' * 257}"), "message: has 257 bytes and is cut after 256"),
    (hooks(f"{HOOK}, tags: [{'t' * 129}]"), "tags[0]: has 129 bytes and is cut after 128"),
    (kprobe(kind="string, maxData: true"), "maxData: is for char_buf; it has no effect on string"),
    (kprobe(kind="char_buf"), "sizeArgIndex: is missing, so that nothing of a char_buf is read"),
    (
        kprobe(kind="char_buf, sizeArgIndex: 2, maxData: true, returnCopy: true"),
        "maxData: has no effect on what is read at the return",
    ),
    (selector("{matchArgs: [{index: 0, operator: Equal}]}"), "matchArgs[0]: has no values"),
    (
        match("Prefix", "1"),
        "operator: Prefix does not compare the type int, so that nothing matche",
    ),
    (match("SubString", "1"), "operator: SubString does not compare the type int, so that nothing"),
    (match("InRange", "9:3"), "matchArgs[0].values[0]: 9 is above 3: nothing is between"),
    (
        selector("{matchReturnArgs: [{index: 0, operator: Equal, values: ['0']}]}"),
        "matchReturnArgs: has no effect without return: true and returnArg",
    ),
    (selector("{matchBinaries: [{operator: In, values: []}]}"), "so that the filter does nothing"),
    (
        selector("{matchActions: [{action: Post, rateLimitScope: process}]}"),
        "has no effect without r",
    ),
    (
        selector("{matchActions: [{action: Post, imaHash: true}]}"),
        "imaHash: has no effect but with",
    ),
]


@pytest.mark.parametrize(("text", "message"), WARNED)
def test_what_is_accepted_with_a_warning(text: str, message: str) -> None:
    """As Tetragon accepts it, but it is probably not meant."""
    found = [str(problem) for problem in read(text).warnings]
    assert any(message in line for line in found), found


ACCEPTED = [
    spec("  loader: true"),
    spec("  loader: true\n  hostSelector: {}"),
    spec("  loader: true\n  hostSelector: ~\n  podSelector:\n"),
    NAMESPACED + "  kprobes: [{call: f}]",
    NAMESPACED.replace(", namespace: n", "") + UPROBE + "symbols: [main]}",
    spec(
        "  lists: [{name: a, type: syscalls, values: [sys_dup, i386/sys_dup, __x64_sys_dup]}]\n"
        "  kprobes: [{call: 'list:a'}]"
    ),
    spec(UPROBE + "symbols: [main, a+0x10], refCtrOffsets: [1, 2]}"),
    spec(UPROBE + f'offsets: [5], binaryDigests: ["SHA256: {"aB" * 32}", "build-id:0f"]}}'),
    kprobe(kind="int, resolve: 'a[0].b.c[12]'"),
    kprobe(", data: [{index: 0, type: int, source: pt_regs, resolve: rax}]"),
    hooks("subsystem: a, event: b, args: [{index: 12}]", section="tracepoints"),
    hooks(
        "subsystem: a, event: b, args: [{index: 4, type: int}],"
        " selectors: [{matchArgs: [{index: 0, operator: Equal, values: ['1']}]}]",
        section="tracepoints",
    ),
    hooks(
        f"{HOOK}, return: true, returnArg: {{index: 1, type: int}},"
        " selectors: [{matchReturnArgs: [{operator: GT, values: ['0']}]}]"
    ),
    selector("{matchPIDs: [{operator: In, values: [1, 2, 3, 4, 5]}]}"),
    selector("{matchCapabilities: [{operator: In, values: [DAC_OVERRIDE, cap_dac_override]}]}"),
    selector(
        "{matchNamespaces: [{namespace: Mnt, operator: In, values: [host_ns, '4026531840']}]}"
    ),
    selector("{matchNamespaceChanges: [{operator: In, values: [mnt, PidForChildren]}]}"),
    selector("{matchActions: [{action: Post, rateLimit: 5M, rateLimitScope: global}]}"),
    selector("{matchWorkloads: {hostSelector: {}}}"),
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_is_accepted(text: str) -> None:
    """Without a word."""
    assert read(text).warnings == ()


def test_expressions_are_counted_over_the_policy() -> None:
    """Tetragon has eight functions for them."""
    one = "{operator: CelExpr, values: ['arg0 == int32(1)']}"
    three = f"selectors: [{{matchArgs: [{one}, {one}, {one}]}}]"
    row = f"{HOOK}, args: [{{index: 0, type: int}}], {three}"
    assert read(hooks(row, row)).warnings == ()
    assert (
        "spec: 9 filters are a CelExpr; at most 8 are supported" in lines(hooks(row, row, row))[0]
    )
