# SPDX-License-Identifier: Apache-2.0
"""Rules that tie the fields of a policy together, as Tetragon has them.

What depends on the kernel (whether a function, a tracepoint or a member is there, what an operator
needs) is asked when the policy is loaded.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional, Sequence

from tetrapy.policy import exclusions, names, places, values
from tetrapy.policy.check_selectors import LOOKED_UP, Context, check_selectors
from tetrapy.policy.expression import MAX_EXPRESSIONS
from tetrapy.policy.functions import MACHINES, find, parse_syscall
from tetrapy.policy.names import SECTIONS
from tetrapy.policy.problems import Problems, expected, quoted
from tetrapy.policy.schema.hooks import MAX_ARGUMENTS
from tetrapy.policy.schema.policy import MAX_NAME
from tetrapy.policy.types import (
    Argument,
    KprobeHook,
    LabelSelector,
    NamedList,
    Option,
    Policy,
    Spec,
    Uprobe,
)
from tetrapy.policy.values import UnfitError

MAX_HOOKS = 1023
"""One less than HOOK_SLOTS of bpf/hook.h."""
MIN_MESSAGE, MAX_MESSAGE = 2, 256
MIN_TAG, MAX_TAG = 2, 128
"""Bytes."""
_LAST_ARGUMENT = 4  # that registers hold, counted from 0
_LAST_SIZE_INDEX = 15
_ANY_MACHINE = next(iter(MACHINES))  # what is checked here is the same on all


def check(policy: Policy, problems: Problems) -> None:
    """Add what breaks a rule to `problems`, and a warning for what is probably not meant."""
    name = policy.metadata.name
    if not name and not policy.metadata.generate_name:
        problems.error("metadata.name", "is missing: a policy needs a name")
    if len(name) > MAX_NAME:
        problems.error("metadata.name", f"has more than {MAX_NAME} characters")
    spec = policy.spec
    namespaced = policy.kind == names.POLICY_NAMESPACED
    _check_sections(spec, problems)
    _check_scopes(policy, problems, namespaced=namespaced)
    for number, one in enumerate(spec.lists):
        _check_list(one, f"spec.lists[{number}]", problems)
    for number, option in enumerate(spec.options):
        _check_option(option, f"spec.options[{number}]", problems)
    _check_enforcers(spec, problems)
    _check_hooks(spec, problems)


def _check_sections(spec: Spec, problems: Problems) -> None:
    used = [section for section in SECTIONS if getattr(spec, section)]
    if len(used) > 1:
        what = f"a policy has only one kind of hooks; this one has {' and '.join(used)}"
        problems.error(f"spec.{used[1]}", f"{what}: make several policies of it")
    for section in used:
        count = len(getattr(spec, section))
        if count > MAX_HOOKS:
            what = f"has {count} hooks; at most {MAX_HOOKS} are supported, of all policies together"
            problems.error(f"spec.{section}", what)
    if not used and not spec.loader:
        problems.warn("spec", "has no hooks, so that nothing is reported")


def _check_scopes(policy: Policy, problems: Problems, *, namespaced: bool) -> None:
    spec = policy.spec
    if _has_labels(spec.host_selector):
        problems.error("spec.hostSelector", "may be nothing or {}, but not select by labels")
    if namespaced and spec.host_selector is not None:
        problems.error("spec.hostSelector", f"is not for a {names.POLICY_NAMESPACED}")
    if namespaced and policy.metadata.namespace:
        for section in ("uprobes", "usdts"):
            if getattr(spec, section):
                what = f"are not for a {names.POLICY_NAMESPACED}: their files are the host's"
                problems.error(f"spec.{section}", what)
    if spec.loader and (spec.pod_selector or spec.container_selector):
        problems.error("spec.loader", "cannot be limited to pods or containers")
    if spec.node_selector is not None:
        problems.warn("spec.nodeSelector", "has no effect without Kubernetes")


def _has_labels(selector: Optional[LabelSelector]) -> bool:
    return selector is not None and bool(selector.match_labels or selector.match_expressions)


def _check_list(one: NamedList, path: str, problems: Problems) -> None:
    if one.type == names.SYSCALL_LIST:
        for number, value in enumerate(one.values):
            _try(problems, f"{path}.values[{number}]", value, _syscall)
    elif one.type and one.values:
        problems.error(f"{path}.values", f"must be empty: a list of type {one.type} finds its own")
    if one.type == names.TRACEABLE_FUNCTIONS and not one.pattern:
        problems.error(f"{path}.pattern", f"is missing: a list of type {one.type} needs it")


def _syscall(value: str) -> None:
    parse_syscall(value, _ANY_MACHINE)


def _check_option(option: Option, path: str, problems: Problems) -> None:
    read = _OPTIONS.get(option.name)
    if read is None:
        what = f"{quoted(option.name)} is no known option and has no effect"
        problems.warn(f"{path}.name", f"{what}; {expected(option.name, _OPTIONS)}")
    else:
        _try(problems, f"{path}.value", option.value, read)


def _one_of(*words: str) -> Callable[[str], None]:
    def read(value: str) -> None:
        if value not in words:
            raise UnfitError(f"is unknown; {expected(value, words)}")

    return read


_OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "disable-kprobe-multi": values.boolean,
    "disable-uprobe-multi": values.boolean,
    "override-method": _one_of("fmod-ret", "override-return"),
    "policy-mode": _one_of("enforce", "monitor"),
    exclusions.OPTION: values.boolean,
    "sleepable-preload-size": lambda value: values.decimal(value, 1, (1 << 31) - 1),
}


def _check_enforcers(spec: Spec, problems: Problems) -> None:
    for number, enforcer in enumerate(spec.enforcers):
        for at, call in enumerate(enforcer.calls):
            path = f"spec.enforcers[{number}].calls[{at}]"
            problems.spend(path, 1 + len(spec.lists) // LOOKED_UP)
            calls: Sequence[str] = (call,)
            if call.startswith(names.LIST_PREFIX):
                try:
                    found = find(call[len(names.LIST_PREFIX) :], spec.lists)
                except UnfitError as err:
                    problems.error(path, str(err))
                    continue
                calls = () if found.type else found.values
                problems.spend(path, len(calls))
            for one in calls:
                if not one.startswith(("sys_", "security_", "__x64_", "__arm64_", "__ia32_")):
                    what = "is neither a system call (sys_...) nor a security_ function"
                    problems.error(path, f"{quoted(one)} {what}")


def _check_hooks(spec: Spec, problems: Problems) -> None:
    expressions = 0
    for section in SECTIONS:
        for number, hook in enumerate(getattr(spec, section)):
            path = f"spec.{section}[{number}]"
            _check_words(hook.message, hook.tags, path, problems)
            _check_arguments(hook, section, path, problems)
            if section in {"kprobes", "fentries"}:
                _check_kprobe(hook, path, spec, problems)
            elif section == "uprobes":
                _check_uprobe(hook, path, problems)
            expressions += check_selectors(Context(section, hook, spec, problems), path)
    if expressions > MAX_EXPRESSIONS:
        what = f"{expressions} filters are a CelExpr; at most {MAX_EXPRESSIONS} are supported"
        problems.error("spec", what)


def _check_words(message: str, tags: Sequence[str], path: str, problems: Problems) -> None:
    limits = (MIN_TAG, MAX_TAG)
    words = [(f"{path}.tags[{at}]", tag, *limits) for at, tag in enumerate(tags)]
    if message:
        words.append((f"{path}.message", message, MIN_MESSAGE, MAX_MESSAGE))
    for where, word, least, longest in words:
        size = len(word.encode())
        if size < least:
            problems.error(where, f"has {size} bytes; at least {least} are needed")
        elif size > longest:
            problems.warn(where, f"has {size} bytes and is cut after {longest}")


def _check_arguments(hook: Any, section: str, path: str, problems: Problems) -> None:
    data: Sequence[Argument] = getattr(hook, "data", ())
    if len(hook.args) <= MAX_ARGUMENTS < len(hook.args) + len(data):
        what = f"has {len(data)} elements besides {len(hook.args)} of args"
        problems.error(f"{path}.data", f"{what}; together at most {MAX_ARGUMENTS} are supported")
    for number, argument in enumerate(hook.args):
        where = f"{path}.args[{number}]"
        _check_argument(argument, section, where, problems)
        if argument.source:
            problems.error(f"{where}.source", "is for data; an argument comes from the function")
        limit = _LAST_ARGUMENT
        if section == "tracepoints":
            limit = _LAST_ARGUMENT + 1 if hook.raw else argument.index
        elif section == "usdts":
            limit = argument.index  # as many as the probe has
        if argument.index > limit:
            what = f"is {argument.index}; only the first {limit + 1} arguments can be read"
            problems.error(f"{where}.index", what)
    for number, argument in enumerate(data):
        where = f"{path}.data[{number}]"
        _check_argument(argument, section, where, problems)
        if argument.source not in names.SOURCES:
            found = quoted(argument.source) if argument.source else "missing"
            known = " or ".join(names.SOURCES)
            problems.error(f"{where}.source", f"is {found}; {known} is expected")
        if not argument.resolve:
            problems.error(f"{where}.resolve", "is missing: it says what of the source is read")
    _check_return(hook, path, problems)


def _check_argument(argument: Argument, section: str, path: str, problems: Problems) -> None:
    kind = argument.type
    known = argument.resolve and section not in {"kprobes", "fentries"}
    if kind == names.AUTO and section != "tracepoints" and not known:
        problems.error(f"{path}.type", "is auto, which only tracepoints know; name the type")
    if kind == "syscall64" and section in {"kprobes", "fentries"}:
        problems.error(f"{path}.type", "is syscall64, which a kernel function does not have")
    if argument.resolve and argument.source != names.REGISTERS:
        _try(problems, f"{path}.resolve", argument.resolve, places.resolve_path)
    if argument.size_arg_index > _LAST_SIZE_INDEX:
        what = f"is {argument.size_arg_index}; at most {_LAST_SIZE_INDEX} is supported"
        problems.error(f"{path}.sizeArgIndex", what)
    if argument.max_data and kind != "char_buf":
        problems.warn(f"{path}.maxData", f"is for char_buf; it has no effect on {kind}")
    if argument.max_data and argument.return_copy:
        problems.warn(f"{path}.maxData", "has no effect on what is read at the return")
    if kind in {"char_buf", "char_iovec"} and not argument.size_arg_index and not argument.resolve:
        problems.warn(f"{path}.sizeArgIndex", f"is missing, so that nothing of a {kind} is read")


def _check_return(hook: Any, path: str, problems: Problems) -> None:
    if not hasattr(hook, "returns"):
        return
    if hook.return_arg is None:
        if hook.returns:
            problems.error(f"{path}.returnArg", "is missing: return: true needs it")
    elif hook.return_arg.type == names.AUTO and hook.returns:
        problems.error(f"{path}.returnArg.type", "is auto, which only tracepoints know")


def _check_kprobe(hook: KprobeHook, path: str, spec: Spec, problems: Problems) -> None:
    action = hook.return_arg_action
    if action and action.lower() not in {"tracksock", "untracksock"}:
        what = f"is {quoted(action)}; TrackSock or UntrackSock is expected, or nothing"
        problems.error(f"{path}.returnArgAction", what)
    if not hook.call:
        problems.error(f"{path}.call", "is empty; the name of a function is expected")
    if hook.call.startswith(names.LIST_PREFIX):
        problems.spend(path, len(spec.lists) // LOOKED_UP)
        _try(
            problems,
            f"{path}.call",
            hook.call,
            lambda call: find(call[len(names.LIST_PREFIX) :], spec.lists),
        )


def _check_uprobe(hook: Uprobe, path: str, problems: Problems) -> None:
    given = {
        "symbols": hook.symbols,
        "offsets": hook.offsets,
        "addrs": hook.addrs,
    }
    used = [name for name, where in given.items() if where]
    if len(used) != 1:
        found = " and ".join(used) or "none"
        what = f"one of symbols, offsets and addrs says where the function is; found {found}"
        problems.error(f"{path}.{used[1]}" if used else path, what)
    counters = len(hook.ref_ctr_offsets)
    for name in used[:1]:
        if counters and name != "addrs" and counters != len(given[name]):
            what = f"has {counters} elements, but {name} has {len(given[name])}"
            problems.error(f"{path}.refCtrOffsets", what)
    for number, symbol in enumerate(hook.symbols):
        _try(problems, f"{path}.symbols[{number}]", symbol, places.symbol_and_offset)
    for number, digest in enumerate(hook.binary_digests):
        _try(problems, f"{path}.binaryDigests[{number}]", digest, places.digest)


def _try(problems: Problems, path: str, value: str, read: Callable[[str], Any]) -> None:
    try:
        read(value)
    except UnfitError as err:
        problems.error(path, f"{quoted(value)} {err}")
