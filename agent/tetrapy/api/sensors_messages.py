# SPDX-License-Identifier: Apache-2.0
"""Messages of Tetragon's sensors.proto: policies, sensors, what the agent tells of itself."""

from __future__ import annotations

from typing import Dict

from tetrapy.api.rows import Rows, enum_of, messages_of

SENSORS_PROTO: Dict[str, Rows] = messages_of("""
ListSensorsRequest:

SensorStatus:
    1 name string
    2 enabled bool
    3 collection string

ListSensorsResponse:
    1 sensors [SensorStatus]

ListTracingPoliciesRequest:
    1 domain string

TracingPolicyActionCounters:
    1 post uint64
    2 signal uint64
    3 monitor_signal uint64
    4 override uint64
    5 monitor_override uint64
    6 notify_enforcer uint64
    7 monitor_notify_enforcer uint64
    8 set uint64
    9 monitor_set uint64
    10 nopost uint64

TracingPolicySelectorActionCounters:
    1 hook string
    2 hook_index UInt32Value
    3 selector_index UInt32Value
    4 action_counters TracingPolicyActionCounters
    5 selector_label string

TracingPolicyStats:
    1 action_counters TracingPolicyActionCounters
    2 selector_action_counters [TracingPolicySelectorActionCounters]
    1000 hook_counters [TracingPolicyHookCounters]

TracingPolicyHookCounters:
    1 hook string
    2 hook_index UInt32Value
    3 called uint64
    4 missed uint64
    5 selectors [TracingPolicySelectorCounters]

TracingPolicySelectorCounters:
    1 selector_index UInt32Value
    2 selector_label string
    3 matched uint64
    4 acted uint64
    5 monitored uint64
    6 posted uint64

HookStatus:
    1 section string
    2 state HookState
    3 hook_description string
    4 hook_idx uint32

TracingPolicyStatus:
    1 id uint64
    2 name string
    3 namespace string
    4 info string
    5 sensors [string]
    6 enabled bool
    7 filter_id uint64
    8 error string
    9 state TracingPolicyState
    10 kernel_memory_bytes uint64
    11 mode TracingPolicyMode
    12 stats optional TracingPolicyStats
    13 domain string
    14 hook_statuses [HookStatus]
    1000 throttled [TracingPolicyThrottled]

TracingPolicyThrottled:
    1 uid string
    2 cgroup string
    3 since Timestamp
    4 unreported uint64

ListTracingPoliciesResponse:
    1 policies [TracingPolicyStatus]

AddTracingPolicyRequest:
    1 yaml string
    2 domain string

AddTracingPolicyResponse:

DeleteTracingPolicyRequest:
    1 name string
    2 namespace string
    3 domain string

DeleteTracingPolicyResponse:

EnableTracingPolicyRequest:
    1 name string
    2 namespace string
    3 domain string

EnableTracingPolicyResponse:

DisableTracingPolicyRequest:
    1 name string
    2 namespace string
    3 domain string

DisableTracingPolicyResponse:

ConfigureTracingPolicyRequest:
    1 name string
    2 namespace string
    3 enable optional bool
    4 mode optional TracingPolicyMode
    5 domain string

ConfigureTracingPolicyResponse:

RemoveSensorRequest:
    1 name string

RemoveSensorResponse:

EnableSensorRequest:
    1 name string

EnableSensorResponse:

DisableSensorRequest:
    1 name string

DisableSensorResponse:

ListDomainsRequest:

ListDomainsResponse:
    1 domains [string]

GetVersionRequest:

GetVersionResponse:
    1 version string

GetInfoRequest:

GetInfoResponse:
    1 version string
    2 name string
    3 probes [GetInfoResponse.Probe]
    4 conf [GetInfoResponse.ConfVal]
    5 build GetInfoResponse.BuildInfo

GetInfoResponse.Probe:
    1 Name string
    2 Enabled BoolValue

GetInfoResponse.ConfVal:
    1 key string
    2 value Any

GetInfoResponse.BuildInfo:
    1 go_version string
    2 commit string
    3 time string
    4 modified string

DumpProcessCacheReqArgs:
    1 skip_zero_refcnt bool
    2 exclude_execve_map_processes bool

ProcessInternal:
    1 process Process
    2 color string
    3 refcnt UInt32Value
    4 refcnt_ops map<string,int32>

DumpProcessCacheResArgs:
    1 processes [ProcessInternal]

GetDebugRequest:
    1 flag ConfigFlag
    2 dump one DumpProcessCacheReqArgs

GetDebugResponse:
    1 flag ConfigFlag
    2 level one LogLevel
    3 processes one DumpProcessCacheResArgs

SetDebugRequest:
    1 flag ConfigFlag
    2 level one LogLevel

SetDebugResponse:
    1 flag ConfigFlag
    2 level one LogLevel
""")

SENSORS_ENUMS: Dict[str, Dict[str, int]] = {
    "TracingPolicyState": enum_of(
        "TP_STATE_",
        "UNKNOWN ENABLED DISABLED LOAD_ERROR ERROR LOADING UNLOADING SKIPPED PARTIALLY_ENABLED",
    ),
    "TracingPolicyMode": enum_of("TP_MODE_", "UNKNOWN ENFORCE MONITOR MONITOR_ONLY"),
    "HookState": enum_of(
        "STATUS_", "UNSPECIFIED LOADED DIGEST_REJECTED CALL_NOT_FOUND PARTIAL_CALL_NOT_FOUND"
    ),
    "ConfigFlag": enum_of("CONFIG_FLAG_", "LOG_LEVEL DUMP_PROCESS_CACHE"),
    "LogLevel": enum_of("LOG_LEVEL_", "PANIC FATAL ERROR WARN INFO DEBUG TRACE"),
}
