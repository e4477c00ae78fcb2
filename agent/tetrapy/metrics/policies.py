# SPDX-License-Identifier: Apache-2.0
"""The metrics of tracing policies: rows of the catalog, and what fills them."""

from __future__ import annotations

from typing import Iterator, Tuple

from tetrapy.metrics.family import COUNTER, GAUGE, Family, Metric
from tetrapy.metrics.sources import Sources

_LOADED = Family("tetragon_tracingpolicy_loaded", GAUGE, "Tracing policies by state", ("state",))
_KERNEL_MEMORY = Family(
    "tetragon_tracingpolicy_kernel_memory_bytes",
    GAUGE,
    "Kernel memory of what only this policy has: tables, sets, programs",
    ("policy", "policy_namespace"),
)
_ACTIONS = Family(
    "tetragon_tracingpolicy_selector_actions_total",
    COUNTER,
    "Events that policies posted, and what they did to processes, or would have in mode monitor;"
    " `failed`: the kernel refused",
    tuple("action hook hook_index policy policy_namespace selector_index selector_label".split()),
)
_HOOK = ("hook", "hook_index", "policy", "policy_namespace")
_CALLS = Family(
    "tetrapy_policy_hook_calls_total",
    COUNTER,
    "Calls of what policies hook, whether a selector matched or none",
    _HOOK,
)
_MISSED = Family(
    "tetrapy_policy_hook_missed_total",
    COUNTER,
    "Calls that kprobes of a hook missed, and runs that the kernel skipped of programs that only"
    " this hook has; `tetragon_missed_prog_probes_total` has those that all hooks share",
    _HOOK,
)
_MATCHES = Family(
    "tetrapy_policy_selector_matches_total",
    COUNTER,
    "Calls that a selector decided on: the first one that matches",
    (*_HOOK, "selector_index", "selector_label"),
)
_THROTTLED = Family(
    "tetrapy_policy_throttled_total",
    COUNTER,
    "How often a policy reported none of its calls for some seconds, since they took too much time",
    ("policy", "policy_namespace"),
)
_UNREPORTED = Family(
    "tetrapy_policy_unreported_calls_total",
    COUNTER,
    "Calls that a policy did not report, since their owner took too much time; without cgroup and"
    " uid: of all further owners",
    ("cgroup", "policy", "policy_namespace", "uid"),
)
_MISSED_BY_LINKS = Family(
    "tetragon_missed_link_probes_total",
    COUNTER,
    "Calls that kprobes missed since another was at work on the CPU; from Linux 6.7 on",
    ("attach", "policy"),
)
_WAITED = Family(
    "tetragon_generic_kprobe_merge_pushed_total",
    COUNTER,
    "Calls that wait for their return, to be reported together with it",
)
_MERGED = Family(
    "tetragon_generic_kprobe_merge_total",
    COUNTER,
    "Calls that were reported with what they return (ok), and halves without the other (error)",
    ("curr_fn", "curr_type", "prev_fn", "prev_type", "status"),
)
_REQUESTS = Family(
    "tetrapy_policy_requests_total",
    COUNTER,
    "What policies had the agent ask of others; `dropped`: more waited than have room",
    ("action", "outcome"),
)
FAMILIES: Tuple[Family, ...] = (
    _LOADED,
    _KERNEL_MEMORY,
    _CALLS,
    _MISSED,
    _MATCHES,
    _ACTIONS,
    _THROTTLED,
    _UNREPORTED,
    _MISSED_BY_LINKS,
    _WAITED,
    _MERGED,
    _REQUESTS,
)

_STATES = ("disabled", "enabled", "error", "load_error", "partially_enabled", "skipped")


class Policies:
    """Tracing policies."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """How many are in each state, their memory, what they did, and calls that return later."""
        found = self._sources.policies()
        yield _LOADED.by_label({**dict.fromkeys(_STATES, 0), **found.states})
        yield _KERNEL_MEMORY.of(found.kernel_memory.items())
        yield _CALLS.of(found.calls.items())
        yield _MISSED.of(found.missed.items())
        yield _MATCHES.of(found.matches.items())
        yield _ACTIONS.of(found.actions.items())
        yield _THROTTLED.of(found.throttled.items())
        yield _UNREPORTED.of(found.unreported.items())
        yield _MISSED_BY_LINKS.of(found.missed_by_links.items())
        yield _WAITED.single(found.waited)
        yield _MERGED.of(
            ((name, "exit", name, "enter", status), count)
            for (name, status), count in found.merges.items()
        )
        yield _REQUESTS.of(found.requests.items())
