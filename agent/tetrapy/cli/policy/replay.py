# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy test`: what a policy would have done with recorded events, by the model."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Optional, Tuple

from tetrapy.cli.btf.output import warn
from tetrapy.cli.client.arguments import Values
from tetrapy.cli.config import write
from tetrapy.cli.policy.contained import NO_NAMES, is_for
from tetrapy.cli.policy.recorded import (
    HOOK_EVENTS,
    Message,
    Recorded,
    UndecidedError,
    recorded,
    target,
    time_of,
)
from tetrapy.client.recorded import event_of
from tetrapy.daemon.policy_library import policy_text
from tetrapy.errors import PolicyError, SettingsError
from tetrapy.json_codec import dumps
from tetrapy.named import NamedTuple
from tetrapy.policy import names
from tetrapy.policy.conditions import BY_EITHER, BY_INDEX, ConditionError
from tetrapy.policy.exclusions import means_written_path
from tetrapy.policy.functions import MACHINES, functions, parse_syscall
from tetrapy.policy.macros import effective
from tetrapy.policy.model import first_match
from tetrapy.policy.places import symbol_and_offset
from tetrapy.policy.read import read_policy
from tetrapy.policy.types import Action, MatchArgs, Policy, Selector, Spec
from tetrapy.policy.values import UnfitError, rate_limit
from tetrapy.policy.workloads import Workload, of_selectors
from tetrapy.visible import printable

EXIT_OK, EXIT_FOUND, EXIT_TROUBLE = 0, 1, 2
_MAX_LINE = 16 << 20  # bytes
_RATE_BYTES = 40  # of a call's values that tell it from others
REPORTED, QUIET, UNDECIDED, LIMITED = "reported", "not reported", "undecided", "rate limited"

Report = Dict[str, Any]


def run(options: Values, arguments: List[str]) -> int:
    """Replay the events of a file; returns the exit code. Raises SettingsError, OSError."""
    path = arguments[0]
    if not options["replay"]:
        raise SettingsError("--replay is missing: a file of events, as `policy record` makes it")
    try:
        policy = read_policy(policy_text(path, standard_input=True)).policy
    except PolicyError as err:
        warn("\n".join(f"{path}:{problem}" for problem in err.problems))
        return EXIT_FOUND
    test = Replay(policy)
    reports = []
    for number, event in _events(options["replay"]):
        report = test.report(event)
        if report is not None:
            reports.append({"line": number, **report})
    if options["output"] == "json":
        document = {"events": reports, "others": test.others}
        written = write(dumps(document, indent=True).decode() + "\n")
    else:
        text = "".join(f"{printable(_line(report))}\n" for report in reports)
        written = write(text + _summary(reports, test.others))
    if not reports:
        warn(f"{options['replay']}: nothing was tested: no event is of what the policy hooks")
    undecided = any(report["outcome"] == UNDECIDED for report in reports)
    return written or (EXIT_FOUND if undecided or not reports else EXIT_OK)


def _events(path: str) -> Iterator[Tuple[int, Message]]:
    """Number of the line, and the event. Raises SettingsError, OSError."""
    with open(path, "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE), b""), 1):
            if not line.strip():
                continue
            try:
                yield number, event_of(line)
            except UnicodeDecodeError as err:
                why = f"the byte {line[err.start]:#04x} is no UTF-8"
            except ValueError as err:
                why = str(err)
            else:
                continue
            raise SettingsError(f"{path}:{number}: no event as agents export them: {why}")


class _Hook(NamedTuple):
    """A hook of the policy, by its place."""

    section: str
    number: int
    hook: Any  # of the policy's types
    selectors: List[Selector]
    workloads: List[Tuple[Workload, ...]]  # by selector; one where there are none


class Replay:
    """A policy, and what it has reported so far, for its rate limits."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._machine = os.uname().machine
        self._last: Dict[Tuple[Any, ...], float] = {}
        self.others = 0
        """Events that no hook of the policy makes."""
        self._hooks = {section: list(_hooks(policy, section)) for section in _SECTIONS}

    def report(self, event: Message) -> Optional[Report]:
        """What would have happened; None for an event of nothing that the policy hooks."""
        kind = next((one for one in HOOK_EVENTS if one in event), "")
        if not kind:
            self.others += 1
            return None
        body: Message = event[kind]
        found = False
        reports = []
        for section in HOOK_EVENTS[kind]:
            for one in self._hooks[section]:
                if self._is_of(one.hook, section, target(kind, body)):
                    found = True
                    reports.append(self._decide(one, event, body))
        if not found:
            self.others += 1
            return None
        # A function that is hooked twice makes an event for each hook; the first that tells counts.
        best = next((one for one in reports if one["outcome"] != QUIET), reports[0])
        process = body.get("process", {})
        return {
            "event": kind,
            "target": "/".join(target(kind, body)),
            "pid": process.get("pid", 0),
            "binary": process.get("binary", ""),
            **best,
        }

    def _is_of(self, hook: Any, section: str, place: Tuple[str, ...]) -> bool:
        if section in {"kprobes", "fentries"}:
            return self._calls(hook, place[0])
        if section == "tracepoints":
            return (hook.subsystem, hook.event) == place
        if section == "lsmhooks":
            return bool(hook.hook == place[0])
        if section == "usdts":
            return (hook.path, hook.provider, hook.name) == place
        symbols = [symbol_and_offset(one)[0] for one in hook.symbols]
        return hook.path == place[0] and (place[1] in hook.symbols or place[1] in symbols or
                                          not symbols)  # fmt: skip

    def _calls(self, hook: Any, name: str) -> bool:
        lists = self._policy.spec.lists
        for machine in MACHINES:
            found = functions(hook.call, syscall=hook.syscall, lists=lists, machine=machine)
            if name in found.symbols or found.generated:
                return True
            if found.syscall and any(one.split("sys_", 1)[-1] == name for one in found.symbols):
                return True
        return bool(hook.call == name)

    def _decide(self, hooked: _Hook, event: Message, body: Message) -> Report:
        section, number, hook, selectors, _ = hooked
        report: Report = {"hook": f"spec.{section}[{number}]", "selector": None, "actions": []}
        try:
            call = recorded(hook, body, by_path=self._goes_by_path(hooked))
            match = self._first(hooked, call, body)
        except (UndecidedError, ConditionError, ValueError, KeyError) as err:
            return {**report, "outcome": UNDECIDED, "because": str(err)}
        if match is None:
            return {**report, "outcome": QUIET}
        actions = selectors[match].match_actions if selectors else ()
        report["selector"] = match
        report["actions"] = [one.action for one in actions] or ["Post"]
        report["label"] = selectors[match].label if selectors else ""
        if any(one.action == "NoPost" for one in actions):
            return {**report, "outcome": QUIET}
        limit = next((one for one in actions if one.rate_limit), None)
        key = (section, number, match)
        if limit is not None and self._is_too_soon(limit, key, call, event, body):
            return {**report, "outcome": LIMITED}
        return {**report, "outcome": REPORTED}

    def _goes_by_path(self, hooked: _Hook) -> bool:
        """Whether programs are left out by their paths, whosever files those are."""
        if means_written_path(self._policy):
            return True
        return all(any(one.is_contained for one in conditions) for conditions in hooked.workloads)

    def _first(self, hooked: _Hook, found: Recorded, body: Message) -> Optional[int]:
        hook = hooked.hook
        returned = getattr(hook, "return_arg", None) if getattr(hook, "returns", False) else None
        by = BY_EITHER if hooked.section == "tracepoints" else BY_INDEX
        data = getattr(hook, "data", ())
        for number, workloads in enumerate(hooked.workloads):
            selected = is_for(body.get("process", {}), workloads)
            if selected is False:
                continue
            one = hooked.selectors[number : number + 1]
            if (
                first_match(one, found.arguments, found.call, returned, found.host, by, data)
                is None
            ):
                continue
            if selected is None:
                raise UndecidedError(NO_NAMES)
            return number
        return None

    def _is_too_soon(
        self, limit: Action, key: Tuple[Any, ...], found: Recorded, event: Message, body: Message
    ) -> bool:
        process = body.get("process", {})
        scope = {"process": process.get("pid"), "global": 0}.get(
            limit.rate_limit_scope, process.get("tid", process.get("pid"))
        )
        values = repr(found.call.values).encode()[: 4 * _RATE_BYTES]
        whole = (*key, scope, values)
        now = time_of(event)
        last = self._last.get(whole)
        if now is None:
            return False
        if last is not None and now - last < rate_limit(limit.rate_limit) / 1000:
            return True
        self._last[whole] = now
        return False


_SECTIONS = tuple(section for sections in HOOK_EVENTS.values() for section in sections)


def _hooks(policy: Policy, section: str) -> Iterator[_Hook]:
    spec = policy.spec
    for number, hook in enumerate(getattr(spec, section)):
        selectors = effective(hook.selectors, spec.selectors_macros)
        numbered = [_without_lists(selector, spec) for selector in selectors]
        yield _Hook(section, number, hook, numbered, of_selectors(policy, numbered))


def _without_lists(selector: Selector, spec: Spec) -> Selector:
    """The selector with the numbers of system calls in place of lists of them."""
    if not any(
        value.startswith(names.LIST_PREFIX) for m in selector.match_args for value in m.values
    ):
        return selector
    matches = tuple(_numbered(match, spec) for match in selector.match_args)
    replaced: Selector = selector.replaced(match_args=matches)
    return replaced


def _numbered(match: MatchArgs, spec: Spec) -> MatchArgs:
    lists = {one.name: one for one in spec.lists}
    values: List[str] = []
    for value in match.values:
        if not value.startswith(names.LIST_PREFIX):
            values.append(value)
            continue
        for call in lists[value[len(names.LIST_PREFIX) :]].values:
            try:
                number = parse_syscall(call, os.uname().machine).number
            except (UnfitError, KeyError):
                continue
            values += [str(number)] * (number is not None)
    replaced: MatchArgs = match.replaced(values=tuple(values))
    return replaced


def _line(report: Report) -> str:
    where = f"{report['line']}: {report['target']} by {report['pid']} {report['binary']}"
    outcome = report["outcome"]
    if outcome == UNDECIDED:
        return f"{where}: undecided: {report['because']}"
    if report["selector"] is None:
        return f"{where}: not reported: no selector matches"
    label = f" ({report['label']})" if report["label"] else ""
    actions = ", ".join(report["actions"])
    return f"{where}: {outcome}: selector {report['selector']}{label} -> {actions}"


def _summary(reports: List[Report], others: int) -> str:
    counts = dict.fromkeys((REPORTED, LIMITED, QUIET, UNDECIDED), 0)
    for report in reports:
        counts[report["outcome"]] += 1
    shown = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{len(reports)} events of what the policy hooks: {shown or 'none'}; {others} others\n"
