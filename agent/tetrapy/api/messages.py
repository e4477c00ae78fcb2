# SPDX-License-Identifier: Apache-2.0
"""Every message of the API: of events (events/schema), of Tetragon's services, of gRPC's own.

From these rows come the codec, the .proto files and what server reflection tells.
"""

from __future__ import annotations

from typing import Dict, Mapping

from tetrapy.api import grpc_messages
from tetrapy.api.rows import Rows, enum_of, messages_of
from tetrapy.api.sensors_messages import SENSORS_ENUMS, SENSORS_PROTO
from tetrapy.events.schema import COMMON_ROWS, ENUMS, EVENT_ROWS, EVENT_TYPES, MESSAGES
from tetrapy.events.schema.field import ONE

GOOGLE: Dict[str, Rows] = messages_of("""
Timestamp:
    1 seconds int64
    2 nanos int32

Duration:
    1 seconds int64
    2 nanos int32

FieldMask:
    1 paths [string]

Any:
    1 type_url string
    2 value bytes

StringValue:
    1 value string

BoolValue:
    1 value bool

Int32Value:
    1 value int32

UInt32Value:
    1 value uint32

Int64Value:
    1 value int64

ListValue:
    1 values [Value]

Value:
    3 string_value one string
""")
"""Messages of protobuf itself, package google.protobuf; of Value what is used of it."""

EVENTS_PROTO: Dict[str, Rows] = messages_of("""
Filter:
    1 binary_regex [string]
    2 namespace [string]
    3 health_check BoolValue
    4 pid [uint32]
    5 pid_set [uint32]
    6 event_set [EventType]
    7 pod_regex [string]
    8 arguments_regex [string]
    9 labels [string]
    10 policy_names [string]
    11 capabilities CapFilter
    12 parent_binary_regex [string]
    13 cel_expression [string]
    14 parent_arguments_regex [string]
    15 container_id [string]
    16 in_init_tree BoolValue
    17 ancestor_binary_regex [string]
    18 container_name_regex [string]
    19 namespace_regex [string]

CapFilter:
    1 permitted CapFilterSet
    2 effective CapFilterSet
    3 inheritable CapFilterSet

CapFilterSet:
    1 any [CapabilitiesType]
    2 all [CapabilitiesType]
    3 exactly [CapabilitiesType]
    4 none [CapabilitiesType]

RedactionFilter:
    1 match [Filter]
    2 redact [string]
    3 binary_regex [string]

FieldFilter:
    1 event_set [EventType]
    2 fields FieldMask
    3 action FieldFilterAction
    4 invert_event_set BoolValue

GetEventsRequest:
    1 allow_list [Filter]
    2 deny_list [Filter]
    3 aggregation_options AggregationOptions
    4 field_filters [FieldFilter]

AggregationOptions:
    1 window_size Duration
    2 channel_buffer_size uint64
""")

HEALTH_PROTO: Dict[str, Rows] = messages_of("""
GetHealthStatusRequest:
    1 event_set [HealthStatusType]

HealthStatus:
    1 event HealthStatusType
    2 status HealthStatusResult
    3 details string

GetHealthStatusResponse:
    1 health_status [HealthStatus]

RuntimeHookRequest:
    1 createContainer one CreateContainer

RuntimeHookResponse:

Mount:
    1 destination string
    2 type string
    3 source string
    4 options [string]

CreateContainer:
    1 cgroupsPath string
    2 rootDir string
    3 annotations map<string,string>
    4 containerName string
    5 containerID string
    6 podName string
    7 podUID string
    8 podNamespace string
    9 containerImage string
    10 mounts [Mount]
""")

EVENT_LOG_PROTO: Dict[str, Rows] = messages_of("""
SetEventLogParamsRequest:
    1 max_size optional int32
    2 rotation_interval optional string
    3 max_backups optional int32

SetEventLogParamsResponse:

GetEventLogParamsRequest:

GetEventLogParamsResponse:
    1 max_size int32
    2 rotation_interval string
    3 max_backups int32
""")

RESPONSE = "GetEventsResponse"

_ENVELOPE: Rows = (
    *(row._replace(presence=ONE) for row in EVENT_ROWS),
    *COMMON_ROWS,
)

# What events never have belongs to the group as well.
_ARGUMENT: Rows = tuple(
    row if row.name == "label" else row._replace(presence=ONE) for row in MESSAGES["KprobeArgument"]
)

ALL: Mapping[str, Rows] = {
    **GOOGLE,
    **MESSAGES,
    "KprobeArgument": _ARGUMENT,
    **EVENTS_PROTO,
    RESPONSE: _ENVELOPE,
    **HEALTH_PROTO,
    **SENSORS_PROTO,
    **EVENT_LOG_PROTO,
    **grpc_messages.HEALTH,
    **grpc_messages.REFLECTION,
    **grpc_messages.DESCRIPTORS,
}
"""Message -> its rows, in the order in which JSON shows them."""


HEALTH_ENUMS: Dict[str, Dict[str, int]] = {
    "HealthStatusType": enum_of("HEALTH_STATUS_TYPE_", "UNDEF STATUS"),
    "HealthStatusResult": enum_of("HEALTH_STATUS_", "UNDEF RUNNING STOPPED ERROR"),
}

EVENTS_ENUMS: Dict[str, Dict[str, int]] = {
    "EventType": EVENT_TYPES,
    "FieldFilterAction": {"INCLUDE": 0, "EXCLUDE": 1},
}

ALL_ENUMS: Mapping[str, Mapping[str, int]] = {
    **ENUMS,
    # Of a list of these, no element is ever 0; the .proto files name it all the same.
    "SecureBitsType": {"SecBitNotSet": 0, **ENUMS["SecureBitsType"]},
    "ProcessPrivilegesChanged": {
        "PRIVILEGES_CHANGED_UNSET": 0,
        **ENUMS["ProcessPrivilegesChanged"],
    },
    **EVENTS_ENUMS,
    **HEALTH_ENUMS,
    **SENSORS_ENUMS,
    **grpc_messages.HEALTH_ENUMS,
}
"""Enum -> name -> number."""
