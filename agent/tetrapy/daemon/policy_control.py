# SPDX-License-Identifier: Apache-2.0
"""Policies as clients of the API list and change them.

An agent that was told so has given up what loading takes (docs/privileges.md): it can take policies
out of the kernel, and puts in none that its start did not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from tetrapy.api.codec import Message
from tetrapy.api.grpc import FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, UNKNOWN, RpcError
from tetrapy.api.router import Context, Handler
from tetrapy.api.services import SENSORS, TETRAGON
from tetrapy.daemon.policies import Policies
from tetrapy.daemon.policy_entry import (
    DISABLED,
    ENABLED,
    ENFORCE,
    GRPC,
    LOAD_ERROR,
    MONITOR,
    MONITOR_ONLY,
    PARTIALLY_ENABLED,
    STATIC,
    Entry,
)
from tetrapy.errors import KernelError, TetrapyError

if TYPE_CHECKING:
    from tetrapy.daemon.policy_store import PolicyStore
    from tetrapy.sensors.policy.loaded import HookFigures

_LOADING = "load-policies-at-run-time"
_PREFIX = f"/{TETRAGON}.{SENSORS}/"

_STATES = {
    ENABLED: "TP_STATE_ENABLED",
    PARTIALLY_ENABLED: "TP_STATE_PARTIALLY_ENABLED",
    DISABLED: "TP_STATE_DISABLED",
    LOAD_ERROR: "TP_STATE_LOAD_ERROR",
    "error": "TP_STATE_ERROR",
    "skipped": "TP_STATE_SKIPPED",
}
_MODES = {
    ENFORCE: "TP_MODE_ENFORCE",
    MONITOR: "TP_MODE_MONITOR",
    MONITOR_ONLY: "TP_MODE_MONITOR_ONLY",
}
# The actions that the message has no number of.
_NOT_LISTED = frozenset(("failed",))


class PolicyControl:
    """The calls about policies and sensors."""

    def __init__(
        self,
        policies: Policies,
        can_load: bool,
        store: Optional[PolicyStore],
        log: Callable[..., None],
    ) -> None:
        """`store` keeps what clients add, if anything does."""
        self._policies = policies
        self._can_load = can_load
        self._store = store
        self._log = log

    def handlers(self) -> Dict[str, Handler]:
        """The calls, by path."""
        found: Dict[str, Handler] = {
            "AddTracingPolicy": self.add,
            "DeleteTracingPolicy": self.delete,
            "ListTracingPolicies": self.listed,
            "ConfigureTracingPolicy": self.configure,
            "EnableTracingPolicy": lambda request, context: self.switch(request, context, on=True),
            "DisableTracingPolicy": lambda request, context: self.switch(
                request, context, on=False
            ),
            "ListSensors": self.sensors,
            "ListDomains": self.domains,
        }
        for name in ("EnableSensor", "DisableSensor", "RemoveSensor"):
            found[name] = _deprecated(name)
        return {f"{_PREFIX}{name}": handler for name, handler in found.items()}

    def listed(self, request: Message, context: Context) -> Message:
        """All policies, or those of a domain; with those that have errors."""
        domain = request.get("domain")
        entries = [one for one in self._policies.entries if domain in {None, "", one.domain}]
        return {"policies": [_status(entry) for entry in entries]}

    def domains(self, request: Message, context: Context) -> Message:
        """The domains that have policies."""
        return {"domains": sorted({entry.domain for entry in self._policies.entries})}

    def add(self, request: Message, context: Context) -> Message:
        """Load the policy in a text. Raises RpcError."""
        self._expect_loading("add a policy")
        domain = request.get("domain") or GRPC
        sender = f"a client ({context.client})"
        entry = self._policies.prepare_text(request.get("yaml", ""), sender, domain)
        self._policies.attach(entry)
        # One with an error stays in the list, as Tetragon has it, unless another has its name.
        keys = [one.key for one in self._policies.entries]
        if entry.error and (not entry.name or keys.count(entry.key) > 1):
            self._policies.remove(entry)
        self._policies.settled()
        if entry.error:
            raise RpcError(INVALID_ARGUMENT, entry.error)
        self._changed("Policy is added", context, entry)
        try:
            self._keep(entry, enabled=True)
        except RpcError:
            self._policies.remove(entry)
            self._policies.settled()
            raise
        return {}

    def _keep(self, entry: Entry, *, enabled: bool) -> None:
        """Have what a client added there at the next start, too. Raises RpcError."""
        if self._store is None or not entry.text:
            return
        try:
            self._store.save(entry, enabled=enabled)
        except TetrapyError as err:
            raise RpcError(UNKNOWN, str(err)) from err

    def _forget(self, entry: Entry) -> None:
        if self._store is None or not entry.text:
            return
        try:
            self._store.forget(entry)
        except TetrapyError as err:
            raise RpcError(UNKNOWN, str(err)) from err

    def delete(self, request: Message, context: Context) -> Message:
        """Take a policy out of the kernel and the list. Raises RpcError."""
        entry = self._found(request)
        self._forget(entry)
        self._policies.remove(entry)
        self._policies.settled()
        self._changed("Policy is deleted", context, entry)
        return {}

    def switch(self, request: Message, context: Context, *, on: bool) -> Message:
        """Enable or disable. Raises RpcError."""
        entry = self._found(request)
        if on == (entry.loaded is not None):
            return {}
        if not on:
            self._keep(entry, enabled=False)
            self._policies.disable(entry)
            self._policies.settled()
            self._changed("Policy is disabled", context, entry)
            return {}
        self._expect_loading("enable a policy that is not in the kernel")
        self._keep(entry, enabled=True)
        self._policies.enable(entry)
        self._policies.settled()
        self._changed("Policy is enabled", context, entry)
        if entry.error:
            self._keep(entry, enabled=False)
            raise RpcError(UNKNOWN, entry.error)
        return {}

    def configure(self, request: Message, context: Context) -> Message:
        """Enable, disable, and choose the mode. Raises RpcError."""
        entry = self._found(request)
        mode = request.get("mode")
        if mode not in {None, "TP_MODE_UNKNOWN"}:
            self._set_mode(entry, str(mode), context)
        if "enable" in request:
            self.switch(request, context, on=request["enable"])
        return {}

    def _set_mode(self, entry: Entry, wanted: str, context: Context) -> None:
        mode = next((one for one in (ENFORCE, MONITOR) if _MODES[one] == wanted), None)
        if mode is None:
            what = f"the mode of a policy can be set to {ENFORCE} or {MONITOR}, not to {wanted}"
            raise RpcError(INVALID_ARGUMENT, what)
        if entry.mode == MONITOR_ONLY:
            raise RpcError(
                FAILED_PRECONDITION,
                f"policy {entry.name} has no action that it could enforce: its mode stays"
                f" {MONITOR_ONLY}",
            )
        if entry.loaded is None:
            raise RpcError(
                FAILED_PRECONDITION, f"policy {entry.name} is not loaded ({entry.state})"
            )
        former = entry.mode
        try:
            self._policies.set_mode(entry, mode)
        except KernelError as err:
            raise RpcError(
                UNKNOWN, f"policy {entry.name} stays in mode {entry.mode}: {err}"
            ) from err
        try:
            self._keep(entry, enabled=True)
        except RpcError:
            self._policies.set_mode(entry, former)
            raise
        finally:
            self._policies.settled()
        self._changed(f"Policy is in mode {mode}", context, entry)

    def sensors(self, request: Message, context: Context) -> Message:
        """What is in the kernel: the base sensor, and those of policies."""
        found: List[Dict[str, Any]] = [{"name": "__base__", "enabled": True}]
        for entry in self._policies.entries:
            names = entry.loaded.sensors if entry.loaded is not None else ()
            found += [{"name": name, "enabled": True, "collection": entry.name} for name in names]
        return {"sensors": found}

    def _found(self, request: Message) -> Entry:
        """Without a domain those of clients, and then of files: Tetragon 1.1 knew no domains."""
        name, namespace = request.get("name", ""), request.get("namespace", "")
        domain = request.get("domain")
        for one in (domain,) if domain else (GRPC, STATIC):
            for entry in self._policies.entries:
                if entry.key == (one, namespace, name) and name:
                    return entry
        key = f"{domain or GRPC}:{namespace}{'/' if namespace else ''}{name}"
        raise RpcError(NOT_FOUND, f"tracing policy {key} does not exist")

    def _expect_loading(self, what: str) -> None:
        if not self._can_load:
            raise RpcError(
                FAILED_PRECONDITION,
                f"cannot {what}: the agent has given up the capabilities that loading takes; start"
                f" it without --{_LOADING}=false, or put the policy into --tracing-policy-dir and"
                " restart",
            )

    def _changed(self, what: str, context: Context, entry: Entry) -> None:
        self._log(
            "info",
            what,
            client=context.client,
            **{"metadata.namespace": entry.namespace, "metadata.name": entry.name},
        )


def _deprecated(name: str) -> Handler:
    def refuse(request: Message, context: Context) -> Message:
        raise RpcError(UNKNOWN, f"{name} is deprecated")

    return refuse


def _status(entry: Entry) -> Dict[str, Any]:
    loaded = entry.loaded
    info = ", ".join(filter(None, (entry.path, *(loaded.left_out if loaded else ()))))
    return {
        "id": entry.number,
        "name": entry.name,
        "namespace": entry.namespace,
        "domain": entry.domain,
        "info": info,
        "sensors": list(loaded.sensors) if loaded else [],
        "enabled": loaded is not None,
        "error": entry.error,
        "state": _STATES.get(entry.state, "TP_STATE_UNKNOWN"),
        "kernel_memory_bytes": loaded.kernel_memory if loaded else 0,
        "mode": _MODES.get(entry.mode, "TP_MODE_UNKNOWN"),
        "stats": _stats(entry),
        "hook_statuses": [
            {
                "section": one.section,
                "hook_idx": one.number,
                "hook_description": one.description,
                "state": f"STATUS_{one.state}",
            }
            for one in (loaded.places if loaded else ())
        ],
        "throttled": [
            {**silence, "unreported": silence["unreported"] or 0} for silence in entry.silent
        ],
    }


def _stats(entry: Entry) -> Dict[str, Any]:
    """What the kernel side counted."""
    try:
        hooks = entry.loaded.figures() if entry.loaded is not None else []
    except KernelError:
        hooks = []  # the list has more to say than this
    whole: Dict[str, int] = {}
    by_selector: List[Dict[str, Any]] = []
    for hook in hooks:
        named = {"hook": hook.hook, "hook_index": hook.number}
        for number, selector in enumerate(hook.selectors):
            counters = {
                action: times
                for action, times in selector.actions.items()
                if times and action not in _NOT_LISTED
            }
            for action, times in counters.items():
                whole[action] = whole.get(action, 0) + times
            if counters:
                shown = {"selector_index": number, "selector_label": selector.label}
                by_selector.append({**named, **shown, "action_counters": counters})
    return {
        "action_counters": whole,
        "selector_action_counters": by_selector,
        "hook_counters": [_counters(hook) for hook in hooks],
    }


def _counters(hook: HookFigures) -> Dict[str, Any]:
    return {
        "hook": hook.hook,
        "hook_index": hook.number,
        "called": hook.called,
        "missed": hook.missed,
        "selectors": [
            {
                "selector_index": number,
                "selector_label": selector.label,
                "matched": selector.matched,
                "acted": selector.acted,
                "monitored": selector.monitored,
                "posted": selector.posted,
            }
            for number, selector in enumerate(hook.selectors)
        ],
    }
