# SPDX-License-Identifier: Apache-2.0
"""Rules for selectors: filters against the arguments of their hook, actions against its kind."""

from __future__ import annotations

from typing import Any, Sequence

from tetrapy.named import NamedTuple
from tetrapy.policy import names, registers, values
from tetrapy.policy.check_macros import Merged, merged
from tetrapy.policy.conditions import (
    BY_EITHER,
    BY_INDEX,
    BY_PLACE,
    ConditionError,
    condition,
    matches_nothing,
)
from tetrapy.policy.functions import find
from tetrapy.policy.problems import Problems, expected, quoted
from tetrapy.policy.types import Action, Argument, MatchArgs, MatchBinaries, Spec
from tetrapy.policy.values import UnfitError

MAX_FILTERS = 5
LOOKED_UP = 64
"""Elements of a list that are looked through at the price of one value, see Problems.spend."""
MAX_BINARY = 255
"""Bytes."""
_LSM_ACTIONS = frozenset({"Post", "NoPost", "Override", "Sigkill", "Signal"})
_LOOKING_UP = frozenset({"GetUrl", "DnsLookup"})


class Context(NamedTuple):
    """The hook that selectors are of, in the section of spec that it stands in."""

    section: str
    hook: Any
    spec: Spec
    problems: Problems


def check_selectors(context: Context, path: str) -> int:
    """Check all selectors of a hook; returns how many filters are a CelExpr."""
    macros = context.spec.selectors_macros
    expressions = 0
    for one in merged(context.hook.selectors, f"{path}.selectors", macros, context.problems):
        context.problems.spend(one.path, _size(one))
        _check_processes(one, context.problems)
        expressions += _check_filters(one, context)
        for attribute in ("match_actions", "match_return_actions"):
            for number, action in enumerate(getattr(one.selector, attribute)):
                _check_action(action, f"{one.place(attribute)}[{number}]", context)
        workloads = one.selector.match_workloads
        if workloads is not None and workloads.host_selector is not None:
            host = workloads.host_selector
            if host.match_labels or host.match_expressions:
                where = f"{one.path}.matchWorkloads.hostSelector"
                context.problems.error(where, "may be nothing or {}, but not select by labels")
    return expressions


def _size(one: Merged) -> int:
    """How many values its filters have; those of a macro are looked at for each selector."""
    return sum(
        1 + len(getattr(filter_, "values", ()))
        for attribute in one.sources
        for filter_ in getattr(one.selector, attribute)
    )


def _check_processes(one: Merged, problems: Problems) -> None:
    selector = one.selector
    for attribute in ("match_binaries", "match_parent_binaries"):
        for number, binaries in enumerate(getattr(selector, attribute)):
            _check_binaries(binaries, f"{one.place(attribute)}[{number}]", problems)
    for number, namespaces in enumerate(selector.match_namespaces):
        for at, value in enumerate(namespaces.values):
            where = f"{one.place('match_namespaces')}[{number}].values[{at}]"
            _read(problems, where, value, values.namespace_inode)
    for number, changes in enumerate(selector.match_namespace_changes):
        for at, value in enumerate(changes.values):
            where = f"{one.place('match_namespace_changes')}[{number}].values[{at}]"
            _read(problems, where, value, lambda name: values.namespace_bits([name]))
    for attribute in ("match_capabilities", "match_capability_changes"):
        for number, capabilities in enumerate(getattr(selector, attribute)):
            for at, value in enumerate(capabilities.values):
                where = f"{one.place(attribute)}[{number}].values[{at}]"
                _read(problems, where, value, lambda name: values.capabilities([name]))


def _check_binaries(binaries: MatchBinaries, path: str, problems: Problems) -> None:
    operator = binaries.operator
    if not binaries.values:
        problems.warn(f"{path}.values", "is empty, so that the filter does nothing")
    if binaries.follow_children and operator not in names.IN_OPERATORS:
        what = f"is for In and NotIn; the operator is {operator}"
        problems.error(f"{path}.followChildren", what)
    longest = MAX_BINARY
    if operator.endswith("Prefix"):
        longest = values.MAX_PREFIX
    elif operator.endswith("Postfix"):
        longest = values.MAX_POSTFIX
    for at, value in enumerate(binaries.values):
        _read(problems, f"{path}.values[{at}]", value, lambda one: values.text(one, longest))


def _check_filters(one: Merged, context: Context) -> int:
    selector, hook, problems = one.selector, context.hook, context.problems
    data: Sequence[Argument] = getattr(hook, "data", ())
    count = len(selector.match_args) + len(selector.match_data)
    if selector.match_args and selector.match_data and count > MAX_FILTERS:
        what = f"and matchArgs have {count} elements; at most {MAX_FILTERS} are supported"
        problems.error(one.place("match_data"), what)
    expressions = 0
    by = BY_EITHER if context.section == "tracepoints" else BY_INDEX
    for attribute, arguments, how in (
        ("match_args", hook.args, by),
        ("match_data", data, BY_PLACE),
    ):
        for number, match in enumerate(getattr(selector, attribute)):
            where = f"{one.place(attribute)}[{number}]"
            _check_filter(match, arguments, where, context, how)
            expressions += match.operator == "CelExpr"
    _check_return_filters(one, context)
    return expressions


def _check_return_filters(one: Merged, context: Context) -> None:
    place = one.place("match_return_args")
    filters = one.selector.match_return_args
    if filters and context.section == "lsmhooks":
        context.problems.error(place, "is not for LSM hooks, which run before there is a result")
        return
    returned = getattr(context.hook, "return_arg", None)
    if returned is None or not context.hook.returns:
        if filters:
            context.problems.warn(place, "has no effect without return: true and returnArg")
        return
    for number, match in enumerate(filters):
        # There is one value that is returned, whatever index says.
        only = match.replaced(index=0, args=())
        where = f"{place}[{number}]"
        _check_filter(only, (returned,), where, context, BY_PLACE)


def _check_filter(
    match: MatchArgs, arguments: Sequence[Argument], path: str, context: Context, by: str
) -> None:
    problems = context.problems
    if match.operator not in names.OPERATORS:
        return  # refused already
    try:
        found = condition(match, arguments, by)
    except ConditionError as err:
        where = path if err.at is None else f"{path}.values[{err.at}]"
        problems.error(where, str(err))
        return
    if matches_nothing(match.operator, found.kind):
        what = f"does not compare the type {found.kind}, so that nothing matches"
        problems.warn(f"{path}.operator", f"{match.operator} {what}")
    takes_values = names.OPERATORS[match.operator] not in {names.PRIVILEGED, names.CAPABILITIES}
    if takes_values and not match.values:
        problems.warn(path, "has no values")
    if match.operator in {"InRange", "NotInRange"} and found.kind != names.AUTO:
        for at, (low, high) in enumerate(getattr(found.values, "spans", ())):
            if low > high:
                problems.warn(f"{path}.values[{at}]", f"{low} is above {high}: nothing is between")
    for name in getattr(found.values, "lists", ()):
        _check_list(name, path, context)


def _check_list(name: str, path: str, context: Context) -> None:
    context.problems.spend(path, len(context.spec.lists) // LOOKED_UP)
    try:
        kind = find(name, context.spec.lists).type
    except UnfitError as err:
        context.problems.error(f"{path}.values", str(err))
        return
    if kind not in {names.SYSCALL_LIST, names.ALL_SYSCALLS}:
        what = f"the list {quoted(name)} must be one of system calls, of type syscalls"
        context.problems.error(f"{path}.values", what)


def _check_action(action: Action, path: str, context: Context) -> None:
    problems, section, name = context.problems, context.section, action.action
    if action.rate_limit and name != "Post":
        problems.error(f"{path}.rateLimit", f"is for Post; the action is {name}")
    elif action.rate_limit:
        _read(problems, f"{path}.rateLimit", action.rate_limit, values.rate_limit)
        scope = action.rate_limit_scope
        if scope and scope not in names.RATE_LIMIT_SCOPES:
            what = f"is {quoted(scope)}; {expected(scope, names.RATE_LIMIT_SCOPES)}"
            problems.error(f"{path}.rateLimitScope", what)
    elif action.rate_limit_scope:
        problems.warn(f"{path}.rateLimitScope", "has no effect without rateLimit")
    for field, asked in (
        ("kernelStackTrace", action.kernel_stack_trace),
        ("userStackTrace", action.user_stack_trace),
    ):
        if asked and name != "Post":
            problems.error(f"{path}.{field}", f"is for Post; the action is {name}")
        elif asked and section == "lsmhooks":
            problems.error(f"{path}.{field}", "is not supported for LSM hooks")
    if name == "Signal" and action.arg_sig not in names.SIGNALS:
        what = f"is {action.arg_sig}, which is no signal (1 to 64), so that none is sent"
        problems.warn(f"{path}.argSig", what)
    if action.ima_hash and (section != "lsmhooks" or name != "Post"):
        problems.warn(f"{path}.imaHash", "has no effect but with Post of an LSM hook")
    targets = (action.arg_new_symbol, action.arg_new_addr, action.arg_new_offset)
    if sum(map(bool, targets)) > 1:
        what = "has more than one of argNewSymbol, argNewAddr and argNewOffset; one says what for"
        problems.error(path, what)
    refusal = names.refusal(action.arg_error)
    if name == "Override" and section == "lsmhooks" and action.arg_error != refusal:
        what = f"is {action.arg_error}, which is no error: the call returns {refusal}"
        problems.warn(f"{path}.argError", what)
    elif name == "Override" and not action.arg_error and _is_of_security(context.hook):
        what = "is 0, and the function runs: name the error that it is to return, such as -1"
        problems.warn(f"{path}.argError", what)
    if name == "Override" and section == "uprobes":
        _check_registers(action, path, context, problems)
    if name == "Set" and section == "usdts" and action.arg_index >= len(context.hook.args):
        what = f"is {action.arg_index}; args has {len(context.hook.args)} entries"
        problems.error(f"{path}.argIndex", what)
    why = _refused(name, context)
    if why:
        problems.error(f"{path}.action", f"{name} {why}")


def _is_of_security(hook: Any) -> bool:
    """Whether it is at a function that is overridden by fmod_ret, which cannot return 0."""
    return str(getattr(hook, "call", "")).startswith("security_")


def _check_registers(action: Action, path: str, context: Context, problems: Problems) -> None:
    """Of an Override of a uprobe."""
    inside = next((one for one in context.hook.symbols if "+" in one), "")
    if registers.returns_at_once(action) and inside:
        what = (
            f"has the function return argError, which is possible where it begins; {quoted(inside)}"
            " is in it: say what becomes of registers (argRegs)"
        )
        problems.error(path, what)
    if len(action.arg_regs) > registers.MOST:
        what = f"has {len(action.arg_regs)} entries; at most {registers.MOST} are supported"
        problems.error(f"{path}.argRegs", what)
    for number, text in enumerate(action.arg_regs):
        _read(problems, f"{path}.argRegs[{number}]", text, registers.assignment)


def _refused(name: str, context: Context) -> str:
    """Why a hook cannot have an action; nothing if it can."""
    section, hook = context.section, context.hook
    if section == "lsmhooks" and name not in _LSM_ACTIONS:
        return "is not supported for LSM hooks"
    if name == "Set" and section != "usdts":
        return "is for usdts: it writes an argument of a static probe"
    if section == "fentries" and name in names.ENFORCING:
        return "is not supported for fentries; use kprobes"
    if section in {"uprobes", "usdts"} and name in _LOOKING_UP:
        return f"is not supported for {section}"
    if name == "NotifyEnforcer" and not context.spec.enforcers:
        return "needs spec.enforcers, which say where it acts"
    if (
        name == "Override"
        and section == "kprobes"
        and not _can_override(hook, context.spec, context.problems)
    ):
        return "is supported for system calls and security_ functions only"
    return ""


def _can_override(hook: Any, spec: Spec, problems: Problems) -> bool:
    call = hook.call
    calls: Sequence[str] = (call,)
    if call.startswith(names.LIST_PREFIX):
        try:
            found = find(call[len(names.LIST_PREFIX) :], spec.lists)
        except UnfitError:
            return True  # refused already
        if found.type:
            return True  # system calls, or functions that only the kernel can tell
        calls = found.values
        problems.spend("spec.lists", (len(spec.lists) + len(calls)) // LOOKED_UP)
    return bool(hook.syscall) or all(one.startswith("security_") for one in calls)


def _read(problems: Problems, path: str, value: str, read: Any) -> None:
    try:
        read(value)
    except UnfitError as err:
        problems.error(path, f"{quoted(value)} {err}")
