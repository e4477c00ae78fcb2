# SPDX-License-Identifier: Apache-2.0
"""Filters and actions of policies in plain words."""

from __future__ import annotations

from typing import Any, Iterator, List, Mapping, Sequence

from tetrapy.policy import names
from tetrapy.policy.problems import quoted
from tetrapy.policy.registers import returns_at_once
from tetrapy.policy.types import (
    Action,
    Argument,
    MatchArgs,
    MatchBinaries,
    MatchCapabilities,
    MatchPIDs,
    Selector,
)
from tetrapy.policy.values import UnfitError, rate_limit

_SHOWN = 6  # values of a filter
_SENTENCES: Mapping[str, str] = {
    "Equal": "is {values}",
    "NotEqual": "is not {values}",
    "Prefix": "begins with {values}",
    "NotPrefix": "does not begin with {values}",
    "Postfix": "ends with {values}",
    "NotPostfix": "does not end with {values}",
    "GT": "is greater than {values}",
    "GreaterThan": "is greater than {values}",
    "LT": "is less than {values}",
    "LessThan": "is less than {values}",
    "Mask": "has a bit of {values}",
    "InMap": "is {values}",
    "NotInMap": "is not {values}",
    "InRange": "is within {values}",
    "NotInRange": "is not within {values}",
    "SubString": "contains {values}",
    "SubStringIgnCase": "contains, in any case, {values}",
    "SAddr": "has a source address in {values}",
    "NotSAddr": "has no source address in {values}",
    "DAddr": "has a destination address in {values}",
    "NotDAddr": "has no destination address in {values}",
    "SPort": "has the source port {values}",
    "NotSPort": "has another source port than {values}",
    "DPort": "has the destination port {values}",
    "NotDPort": "has another destination port than {values}",
    "SPortPriv": "has a source port below 1024",
    "NotSportPriv": "has no source port below 1024",
    "DPortPriv": "has a destination port below 1024",
    "NotDPortPriv": "has no destination port below 1024",
    "Protocol": "has the protocol {values}",
    "Family": "has the address family {values}",
    "State": "is in the state {values}",
    "FileType": "is a file of type {values}",
    "NotFileType": "is no file of type {values}",
}
_OF_TEXTS = frozenset({names.EQUALITY, names.PREFIX, names.POSTFIX, names.SUBSTRING})
_SETS = {"In": "is", "NotIn": "is not"}
_SCOPES = {
    "": "for each thread",
    "thread": "for each thread",
    "process": "for each process",
    "global": "on the whole host",
}


def filters(selector: Selector, hook: Any, *, is_tracepoint: bool) -> Iterator[str]:
    """What must hold for a selector to match, a clause each."""
    for match in selector.match_args:
        yield _argument_filter(match, hook.args, is_tracepoint=is_tracepoint)
    for match in selector.match_data:
        yield _data_filter(match, getattr(hook, "data", ()))
    for match in selector.match_return_args:
        kind = hook.return_arg.type if hook.return_arg else ""
        yield f"what it returns {_sentence(match, kind)}"
    for pids in selector.match_pids:
        yield _pids(pids)
    for binaries in selector.match_binaries:
        yield _binaries(binaries, "the program")
    for binaries in selector.match_parent_binaries:
        yield _binaries(binaries, "the parent's program")
    for one in selector.match_namespaces:
        host = one.values == (names.HOST_NAMESPACE,)
        values = "the host's" if host else listed(one.values, quote=False)
        yield f"the {one.namespace} namespace {_SETS[one.operator]} {values}"
    for caps in selector.match_capabilities:
        word = "has" if caps.operator == "In" else "has none of"
        yield f"the process {word} {_capabilities(caps)} ({caps.type.lower()})"
    for changes in selector.match_namespace_changes:
        other = "" if changes.operator == "In" else "another one than "
        yield f"the process has changed {other}its namespace {listed(changes.values, quote=False)}"
    for caps in selector.match_capability_changes:
        other = "" if caps.operator == "In" else "others than "
        kind = caps.type.lower()
        yield f"the process's {kind} capabilities changed: {other}{_capabilities(caps)}"
    if selector.match_workloads is not None:
        yield "the process is in a pod or container, or on the host, as is selected"


def _argument_filter(
    match: MatchArgs, arguments: Sequence[Argument], *, is_tracepoint: bool
) -> str:
    if match.operator == "CelExpr":
        return f"{match.values[0]} (arg0 is the first of args)"
    if match.operator == "CapabilitiesGained":
        return "capabilities are in the new set that are not in the old one"
    chosen = [one for one in arguments if one.index == match.index]
    if match.args:
        chosen = [arguments[match.args[0]]]
    elif not chosen and is_tracepoint:
        chosen = [arguments[match.index]]
    return f"{argument(chosen[0], is_tracepoint=is_tracepoint)} {_sentence(match, chosen[0].type)}"


def _data_filter(match: MatchArgs, data: Sequence[Argument]) -> str:
    if match.operator == "CelExpr":
        return f"{match.values[0]} (of data)"
    chosen = data[(match.args or (match.index,))[0]]
    return f"{argument(chosen)} {_sentence(match, chosen.type)}"


def argument(one: Argument, *, is_tracepoint: bool = False) -> str:
    """What is read: `argument 1 "path" (string)`."""
    if one.source == names.CURRENT_TASK:
        return f"{one.resolve} of the task ({one.type})"
    if one.source == names.REGISTERS:
        return f"register {one.resolve} ({one.type})"
    name = f"{'field' if is_tracepoint else 'argument'} {one.index}"
    if one.resolve:
        name = f"{one.resolve} of {name}"
    label = f" {quoted(one.label)}" if one.label else ""
    return f"{name}{label} ({one.type})"


def _sentence(match: MatchArgs, kind: str) -> str:
    template = _SENTENCES[match.operator]
    is_text = kind in names.PREFIXED and names.OPERATORS[match.operator] in _OF_TEXTS
    values = [one.replace(names.LIST_PREFIX, "one of the list ", 1) for one in match.values]
    return template.format(values=listed(match.values if is_text else values, quote=is_text))


def listed(values: Sequence[str], *, quote: bool = True) -> str:
    """`a`, `a or b`, and of many the first ones."""
    shown = [quoted(value) if quote else value for value in values[:_SHOWN]]
    if len(values) > _SHOWN:
        shown.append(f"{len(values) - _SHOWN} others")
    if len(shown) < 2:
        return "".join(shown) or "nothing"
    return f"{', '.join(shown[:-1])} or {shown[-1]}"


def _pids(match: MatchPIDs) -> str:
    kind = "pid in its own namespace" if match.is_namespace_pid else "pid"
    who = f"the {kind} of the process{' or an ancestor' if match.follow_forks else ''}"
    return (
        f"{who} {_SETS[match.operator]} {listed([str(one) for one in match.values], quote=False)}"
    )


def _binaries(match: MatchBinaries, who: str) -> str:
    operator = {"In": "Equal", "NotIn": "NotEqual"}.get(match.operator, match.operator)
    text = _SENTENCES[operator].format(values=listed(match.values))
    return f"{who}{', or that of an ancestor,' if match.follow_children else ''} {text}"


def _capabilities(match: MatchCapabilities) -> str:
    inside = " in a user namespace that is not the host's" if match.is_namespace_capability else ""
    return listed(match.values, quote=False) + inside


def actions(selector: Selector, section: str, *, monitors: bool) -> List[str]:
    """What is done, a sentence each; with `monitors` nothing is done to anybody."""
    given = selector.match_actions
    shown = [_action(one, section) for one in given]
    if not any(one.action in {"Post", "NoPost"} for one in given):
        shown.append("report the call")
    if monitors and any(one.action in names.ENFORCING for one in given):
        shown.append("(the policy only monitors: what it would do is reported, and not done)")
    return shown


def _action(action: Action, section: str) -> str:
    name = action.action
    if name == "Post":
        return _post(action)
    template = {
        "NoPost": "report nothing",
        "Sigkill": "KILL the process",
        "Signal": f"SEND the process the signal {action.arg_sig}",
        "Override": _override(action, section),
        "NotifyEnforcer": f"HAVE THE ENFORCER ACT on the process: error {action.arg_error}, signal"
        f" {action.arg_sig}",
        "GetUrl": f"fetch {quoted(action.arg_url)}",
        "DnsLookup": f"look up {quoted(action.arg_fqdn)}",
        "TrackSock": "remember whose socket this is",
        "UntrackSock": "forget whose socket this is",
        "Set": f"CHANGE args[{action.arg_index}] to {action.arg_value}",
    }
    return template.get(name, name)


def _override(action: Action, section: str) -> str:
    if returns_at_once(action):
        error = action.arg_error if section != "lsmhooks" else names.refusal(action.arg_error)
        return f"REFUSE the call: it returns {error} and is not carried out"
    shown = []
    if action.arg_regs:
        shown.append(f"CHANGE registers of the process: {', '.join(action.arg_regs)}")
    if action.arg_new_symbol:
        shown.append(f"CALL {quoted(action.arg_new_symbol)} instead")
    elif action.arg_new_addr:
        shown.append(f"CALL what is at the address {action.arg_new_addr:#x} instead")
    elif action.arg_new_offset:
        shown.append(f"CALL what is at {action.arg_new_offset:#x} in the file instead")
    return ", ".join(shown)


def _post(action: Action) -> str:
    text = "report the call"
    stacks = [
        word
        for word, asked in (
            ("the kernel's", action.kernel_stack_trace),
            ("the process's", action.user_stack_trace),
        )
        if asked
    ]
    if stacks:
        text += f" with {' and '.join(stacks)} stack"
    if action.ima_hash:
        text += " with the file's hash"
    if action.rate_limit:
        try:
            seconds = rate_limit(action.rate_limit) / 1000
        except UnfitError:  # of a rule that is checked before
            seconds = 0
        text += f", an equal one once in {seconds:g} s {_SCOPES[action.rate_limit_scope]}"
    return text
