# SPDX-License-Identifier: Apache-2.0
"""What all events of a hook say alike."""

from __future__ import annotations

from tetrapy.events.calls import Probe
from tetrapy.sensors.policy.hook import (
    FENTRY,
    KPROBE,
    LSM,
    MAPPED,
    RAW_TRACEPOINT,
    TRACEPOINT,
    USDT,
    Hook,
)


def probe_of(hook: Hook) -> Probe:
    """What events of this hook say."""
    kind, target = hook.kind, hook.target
    fields = {}
    if kind in {KPROBE, FENTRY, LSM, MAPPED}:
        fields["function_name"] = target[0]
    elif kind in {TRACEPOINT, RAW_TRACEPOINT}:
        kind = TRACEPOINT
        fields["subsys"], fields["event"] = target
    elif kind == USDT:
        fields["path"], fields["provider"], fields["name"] = target
        target = target[1:]
    else:
        fields["path"], fields["symbol"] = target[0], "".join(target[1:])
    return Probe(
        label=f"{kind}:{'/'.join(target)}",
        policy_name=hook.policy,
        message=hook.message,
        tags=hook.tags,
        offset=hook.offset or 0,
        ref_ctr_offset=hook.reference_counter,
        **fields,
    )
