# SPDX-License-Identifier: Apache-2.0
"""Policies as the table that Tetragon's client prints (`tracingpolicy list`)."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from tetrapy.visible import printable

Message = Dict[str, Any]

_COLUMNS = (
    "ID NAME DOMAIN STATE FILTERID NAMESPACE SENSORS KERNELMEMORY MODE NPOST NENFORCE NMONITOR"
).split()
_HOOK_COLUMNS = ("SECTION", "CFGIDX", "DESCRIPTION", "STATUS")
_COUNTER_COLUMNS = tuple(
    "HOOK CFGIDX CALLED MISSED SELECTOR MATCHED POSTED ACTED MONITORED LABEL".split()
)
_GAP = "   "
_ENFORCED = ("signal", "override", "notify_enforcer", "set")


def lines(policies: Sequence[Message]) -> List[str]:
    """The table; below a policy a table of its hooks where it is loaded in part, and whose calls
    it does not report for now.
    """
    first, *rest = _aligned([_COLUMNS, *map(_row, policies)])
    indent = " " * first.index(_COLUMNS[1])
    out = [first]
    for line, policy in zip(rest, policies):
        out.append(line)
        hooks = policy.get("hook_statuses", [])
        if policy.get("state") == "TP_STATE_PARTIALLY_ENABLED" and hooks:
            out += [indent + one for one in _aligned([_HOOK_COLUMNS, *map(_hook_row, hooks)])]
        out += [
            f"{indent}calls not reported: {throttled(one)}" for one in policy.get("throttled", [])
        ]
    return out


def throttled(one: Message) -> str:
    """Whose calls a policy does not report (TracingPolicyThrottled), how many, and since when."""
    uid, cgroup, unreported = one.get("uid"), one.get("cgroup"), one.get("unreported")
    whose = f"of {f'uid {uid}' if uid else 'all uids'}{f' in cgroup {cgroup}' if cgroup else ''}"
    count = f"{unreported} " if unreported else ""
    return f"{count}{whose}, since {one.get('since')}: they keep the agent busy"


def counter_lines(hooks: Sequence[Message]) -> List[str]:
    """A table of hooks (TracingPolicyHookCounters), a line for each selector."""
    rows: List[Sequence[str]] = [_COUNTER_COLUMNS]
    for hook in hooks:
        counts = [str(hook.get(name, 0)) for name in ("hook_index", "called", "missed")]
        for selector in hook.get("selectors", []):
            names = ("selector_index", "matched", "posted", "acted", "monitored")
            more = [str(selector.get(name, 0)) for name in names]
            rows.append((hook.get("hook", ""), *counts, *more, selector.get("selector_label", "")))
    return [line.rstrip() for line in _aligned(rows)]


def bytes_text(count: int) -> str:
    """`4.46 MB`, in powers of 1000."""
    if count < 1000:
        return f"{count} B"
    value, unit = count / 1000, 0
    while value >= 1000 and unit < 5:
        value /= 1000
        unit += 1
    return f"{value:.2f} {'kMGTPE'[unit]}B"


def _row(policy: Message) -> Sequence[str]:
    counters = policy.get("stats", {}).get("action_counters", {})

    def total(prefix: str) -> int:
        return sum(int(counters.get(prefix + name, 0)) for name in _ENFORCED)

    return (
        str(policy.get("id", 0)),
        policy.get("name", ""),
        policy.get("domain", ""),
        _word(policy.get("state", "TP_STATE_UNKNOWN"), "tp_state_"),
        str(policy.get("filter_id", 0)),
        policy.get("namespace") or "(global)",
        ",".join(policy.get("sensors", [])),
        bytes_text(int(policy.get("kernel_memory_bytes", 0))),
        _word(policy.get("mode", "TP_MODE_UNKNOWN"), "tp_mode_"),
        str(counters.get("post", 0)),
        str(total("")),
        str(total("monitor_")),
    )


def _hook_row(hook: Message) -> Sequence[str]:
    return (
        hook.get("section", ""),
        str(hook.get("hook_idx", 0)),
        hook.get("hook_description", ""),
        _word(hook.get("state", "STATUS_UNSPECIFIED"), "status_"),
    )


def _word(name: Any, prefix: str) -> str:
    word = str(name).lower()
    return word[len(prefix) :] if word.startswith(prefix) else word


def _aligned(rows: Sequence[Sequence[str]]) -> List[str]:
    """Each column as wide as its widest cell and three blanks; the last one is not filled up."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [_GAP.join([*map(str.ljust, row[:-1], widths), row[-1]]) for row in rows]
