# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy explain`: what a policy will do, in plain words."""

from __future__ import annotations

import textwrap
from typing import Any, Iterator, List, Sequence

from tetrapy.cli.btf.output import error_text, warn
from tetrapy.cli.client.arguments import Values
from tetrapy.cli.config import write
from tetrapy.cli.policy.words import actions, argument, filters, listed
from tetrapy.daemon.policy_library import policy_text
from tetrapy.errors import PolicyError
from tetrapy.policy import names
from tetrapy.policy.conditions import BY_EITHER, BY_PLACE, places
from tetrapy.policy.later import later
from tetrapy.policy.macros import effective
from tetrapy.policy.names import SECTIONS
from tetrapy.policy.problems import quoted
from tetrapy.policy.read import read_policy
from tetrapy.policy.types import Argument, MatchArgs, Policy, Selector
from tetrapy.visible import printable

EXIT_OK, EXIT_FOUND, EXIT_TROUBLE = 0, 1, 2
_WIDTH = 80
# What a busy machine calls a hundred thousand times a second.
_BUSY = frozenset(
    "sys_enter sys_exit sched_switch sched_wakeup security_file_permission file_permission vfs_read"
    " vfs_write ksys_read ksys_write sys_read sys_write sys_futex cap_capable capable"
    " security_inode_permission inode_permission inode_getattr security_inode_getattr tcp_sendmsg"
    " tcp_recvmsg kmem_cache_alloc kmalloc kfree ip_output __cgroup_bpf_run_filter_skb".split()
)
# Measured, docs/policies.md: instructions of a call that is not reported, and of one that is.
OF_NUMBERS, OF_TEXTS, REPORTED, WRITTEN = 950, 2300, 4100, 59_000


def run(_options: Values, paths: List[str]) -> int:
    """Explain files; returns the exit code."""
    code = EXIT_OK
    for at, path in enumerate(paths):
        try:
            policy = read_policy(policy_text(path, standard_input=True)).policy
        except OSError as err:
            warn(f"Error: {error_text(err) if err.strerror else f'{path}: {err}'}")
            code = EXIT_TROUBLE
            continue
        except PolicyError as err:
            warn("\n".join(f"{path}:{problem}" for problem in err.problems))
            code = max(code, EXIT_FOUND)
            continue
        text = "".join(f"{printable(line)}\n" for line in lines(policy))
        written = write("\n" * (at > 0) + text)
        if written:
            return written
    return code


def lines(policy: Policy) -> Iterator[str]:
    """The text, in lines of a terminal's width."""
    name = policy.metadata.name or policy.metadata.generate_name
    where = f" of namespace {policy.metadata.namespace}" if policy.metadata.namespace else ""
    yield f"{name}: a {policy.kind}{where}"
    spec = policy.spec
    monitors = any((one.name, one.value) == ("policy-mode", "monitor") for one in spec.options)
    features = [str(one) for one in later(policy)]
    for text in features:
        yield from _wrapped("  ! ", text)
    number = 0
    for section in SECTIONS:
        for hook in getattr(spec, section):
            number += 1
            yield ""
            yield from _hook(hook, section, number, policy, monitors=monitors)
    if spec.loader:
        yield ""
        yield from _wrapped("", "It reports each program and library with a build id that a"
                            " process maps to be executed, once.")  # fmt: skip
    elif not number:
        yield "It has no hooks: nothing is reported."
    yield ""
    yield from _wrapped("", _acts(policy, monitors=monitors))


def _acts(policy: Policy, *, monitors: bool) -> str:
    acting = sorted(
        {
            action.action
            for section in SECTIONS
            for hook in getattr(policy.spec, section)
            for selector in effective(hook.selectors, policy.spec.selectors_macros)
            for action in selector.match_actions
            if action.action in names.ENFORCING
        }
    )
    if not acting:
        return "It acts on nobody: calls are reported, and go on as without it."
    if monitors:
        return f"It would act ({', '.join(acting)}), but its mode is monitor: nobody is touched."
    return f"IT ACTS: {', '.join(acting)}. With policy-mode monitor it would only report."


def _hook(hook: Any, section: str, number: int, policy: Policy, *, monitors: bool) -> Iterator[str]:
    yield from _wrapped(f"{number}. ", _place(hook, section, policy))
    indent = "   "
    if hook.message:
        yield from _wrapped(f"{indent}message: ", quoted(hook.message))
    if hook.tags:
        yield from _wrapped(f"{indent}tags: ", ", ".join(hook.tags))
    yield from _wrapped(f"{indent}reads ", _read(hook, section))
    selectors = effective(hook.selectors, policy.spec.selectors_macros)
    if not selectors:
        yield f"{indent}reports every call"
    for at, selector in enumerate(selectors):
        yield from _selector(selector, at, len(selectors), hook, section, monitors=monitors)
    if selectors and all(map(_filters, selectors)):
        yield f"{indent}a call that no selector matches is not reported"
    yield from _wrapped(f"{indent}cost: ", _cost(hook, section, selectors))


def _place(hook: Any, section: str, policy: Policy) -> str:
    if section in {"kprobes", "fentries"}:
        way = "fentry" if section == "fentries" else "kprobe"
        when = "when it returns" if hook.returns else "when it is called"
        return f"{_called(hook, policy)}, {when} ({way})"
    if section == "tracepoints":
        raw = "raw tracepoint" if hook.raw else "tracepoint"
        return f"{raw} {hook.subsystem}/{hook.event}"
    if section == "lsmhooks":
        return f"LSM hook {hook.hook}: the kernel asks whether something is allowed"
    if section == "usdts":
        return f"static probe {hook.provider}:{hook.name} of {hook.path}"
    places = [
        *hook.symbols,
        *(f"at offset {one:#x}" for one in hook.offsets),
        *(f"at address {one:#x}" for one in hook.addrs),
    ]
    when = "when it returns" if hook.returns else "when it is called"
    return f"function {listed(places, quote=False)} of {hook.path}, {when} (uprobe)"


def _called(hook: Any, policy: Policy) -> str:
    call: str = hook.call
    if not call.startswith(names.LIST_PREFIX):
        return f"system call {call}" if hook.syscall else f"kernel function {call}"
    name = call[len(names.LIST_PREFIX) :]
    found = next(one for one in policy.spec.lists if one.name == name)
    if found.type == names.ALL_SYSCALLS:
        return "EVERY system call"
    if found.type == names.TRACEABLE_FUNCTIONS:
        return f"all kernel functions that fit {quoted(found.pattern)}"
    what = (
        "system calls" if found.type == names.SYSCALL_LIST or hook.syscall else "kernel functions"
    )
    return f"{what} {listed(found.values, quote=False)}"


def _read(hook: Any, section: str) -> str:
    is_tracepoint = section == "tracepoints" and not hook.raw
    read = [argument(one, is_tracepoint=is_tracepoint) for one in hook.args]
    read += [argument(one) for one in getattr(hook, "data", ())]
    if getattr(hook, "returns", False) and hook.return_arg is not None:
        read.append(f"what it returns ({hook.return_arg.type})")
    return ", ".join(read) or "no arguments"


def _selector(
    selector: Selector, at: int, count: int, hook: Any, section: str, *, monitors: bool
) -> Iterator[str]:
    clauses = list(filters(selector, hook, is_tracepoint=section == "tracepoints"))
    label = f" ({selector.label})" if selector.label else ""
    name = f"selector {at}{label}" if count > 1 or label else "selector"
    otherwise = "of the others " if at else ""
    if clauses:
        yield f"   {name}: {otherwise}a call matches where"
        for number, clause in enumerate(clauses):
            yield from _wrapped("     - ", clause + (", and" if number + 1 < len(clauses) else ""))
    else:
        yield f"   {name}: {otherwise}every call matches"
    yield from _wrapped("     then ", "; ".join(actions(selector, section, monitors=monitors)))


def _cost(hook: Any, section: str, selectors: Sequence[Selector]) -> str:
    texts = any(_needs_texts(selector, hook) for selector in selectors)
    name = getattr(hook, "call", "") or getattr(hook, "event", "") or getattr(hook, "hook", "")
    parts = []
    if selectors and any(_filters(selector) for selector in selectors):
        least = OF_TEXTS if texts else OF_NUMBERS
        why = "texts or paths are read" if texts else "numbers alone decide"
        parts.append(f"some {least:,} instructions for a call that is not reported ({why})")
    parts.append(
        f"some {REPORTED:,} in the kernel and {WRITTEN:,} in the agent for one that is reported"
    )
    text = "; ".join(parts)
    if name in _BUSY or name.startswith("list:") or section == "usdts":
        text += ". THIS IS CALLED VERY OFTEN on most machines"
    return text


def _filters(selector: Selector) -> int:
    return sum(1 for _ in _attributes(selector))


def _attributes(selector: Selector) -> Iterator[Any]:
    for attribute in selector.parts:
        if attribute.startswith("match_") and "actions" not in attribute:
            value = getattr(selector, attribute)
            yield from value if isinstance(value, tuple) else ([value] if value else [])


def _needs_texts(selector: Selector, hook: Any) -> bool:
    if selector.match_binaries:
        return any(not one.follow_children for one in selector.match_binaries)
    data = getattr(hook, "data", ())
    compared = [
        *(one for match in selector.match_args for one in _compared(match, hook.args, BY_EITHER)),
        *(one for match in selector.match_data for one in _compared(match, data, BY_PLACE)),
    ]
    return any(one.type in names.PREFIXED for one in compared)


def _compared(match: MatchArgs, read: Sequence[Argument], by: str) -> List[Argument]:
    if match.operator == "CelExpr":
        return list(read)
    return [read[place] for place in places(match, read, by)]


def _wrapped(start: str, text: str) -> List[str]:
    indent = " " * (len(start) - len(start.lstrip()) + (2 if start.strip() else 0))
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [start.rstrip()]
