# SPDX-License-Identifier: Apache-2.0
"""Which .proto file has which messages, enums and services, and their descriptors.

proto/tetragon is written from this by `python3 -m tools.proto_files`; clients of server reflection
are given the descriptors.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, List, Mapping, Optional, Tuple

from tetrapy.api import grpc_messages, messages, sensors_messages
from tetrapy.api.codec import encode, entry_rows
from tetrapy.api.rows import OPTIONAL, Rows
from tetrapy.api.services import (
    BOTH,
    BY_PATH,
    EVENT_LOG,
    HEALTH,
    REFLECTION,
    REFLECTION_ALPHA,
    SENSORS,
    STREAM,
    TETRAGON,
    Method,
)
from tetrapy.events.schema import MESSAGES
from tetrapy.events.schema.field import ONE, Field
from tetrapy.named import NamedTuple

_IN_EVENTS = ("AggregationInfo", "RateLimitInfo", "ProcessThrottle")
_CAPABILITY_ENUMS = ("CapabilitiesType", "SecureBitsType", "ProcessPrivilegesChanged")
_EVENTS_ENUMS = ("EventType", "FieldFilterAction", "ThrottleType")
_BPF_ENUMS = ("BpfCmd",)
_NO_TETRAGON_ENUMS = {
    *_CAPABILITY_ENUMS,
    *_EVENTS_ENUMS,
    *_BPF_ENUMS,
    *sensors_messages.SENSORS_ENUMS,
    *grpc_messages.HEALTH_ENUMS,
}

ONEOFS = {
    messages.RESPONSE: "event",
    "KprobeArgument": "arg",
    "RuntimeHookRequest": "event",
    "GetDebugRequest": "arg",
    "GetDebugResponse": "arg",
    "SetDebugRequest": "arg",
    "SetDebugResponse": "arg",
    "ServerReflectionRequest": "message_request",
    "ServerReflectionResponse": "message_response",
    "Value": "kind",
}
"""Message -> name of the group of fields of which it has one."""


class ProtoFile(NamedTuple):
    """One file; its order is that of the declarations."""

    name: str
    package: str
    messages: Mapping[str, Rows]
    enums: Mapping[str, Mapping[str, int]]
    services: Tuple[str, ...] = ()


def _enums(*names: str) -> Dict[str, Mapping[str, int]]:
    return {name: messages.ALL_ENUMS[name] for name in names}


def _google(name: str, *names: str) -> ProtoFile:
    found = {one: messages.GOOGLE[one] for one in names}
    return ProtoFile(f"google/protobuf/{name}.proto", "google.protobuf", found, {})


def _reflection(package: str) -> ProtoFile:
    name = f"{package.replace('.', '/')}/reflection.proto"
    return ProtoFile(name, package, grpc_messages.REFLECTION, {}, ("ServerReflection",))


FILES: Tuple[ProtoFile, ...] = (
    ProtoFile("tetragon/capabilities.proto", TETRAGON, {}, _enums(*_CAPABILITY_ENUMS)),
    ProtoFile("tetragon/bpf.proto", TETRAGON, {}, _enums(*_BPF_ENUMS)),
    ProtoFile(
        "tetragon/tetragon.proto",
        TETRAGON,
        {
            **{name: messages.ALL[name] for name in MESSAGES if name not in _IN_EVENTS},
            **messages.HEALTH_PROTO,
        },
        {k: v for k, v in messages.ALL_ENUMS.items() if k not in _NO_TETRAGON_ENUMS},
    ),
    ProtoFile(
        "tetragon/events.proto",
        TETRAGON,
        {
            **messages.EVENTS_PROTO,
            **{name: MESSAGES[name] for name in _IN_EVENTS},
            messages.RESPONSE: messages.ALL[messages.RESPONSE],
        },
        _enums(*_EVENTS_ENUMS),
    ),
    ProtoFile(
        "tetragon/sensors.proto",
        TETRAGON,
        sensors_messages.SENSORS_PROTO,
        sensors_messages.SENSORS_ENUMS,
        (SENSORS,),
    ),
    ProtoFile(
        "tetragon/eventlogservice.proto", TETRAGON, messages.EVENT_LOG_PROTO, {}, (EVENT_LOG,)
    ),
    ProtoFile(
        "grpc/health/v1/health.proto",
        HEALTH,
        grpc_messages.HEALTH,
        grpc_messages.HEALTH_ENUMS,
        ("Health",),
    ),
    _reflection(REFLECTION),
    _reflection(REFLECTION_ALPHA),
    _google("timestamp", "Timestamp"),
    _google("duration", "Duration"),
    _google("field_mask", "FieldMask"),
    _google("any", "Any"),
    _google("wrappers", "BoolValue", "Int32Value", "UInt32Value", "Int64Value", "StringValue"),
)

BY_NAME: Mapping[str, ProtoFile] = {one.name: one for one in FILES}

_LABEL_ONE, _LABEL_MANY = 1, 3
_TYPES = {"int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9, "bytes": 12, "uint32": 13}
_MESSAGE, _ENUM = 11, 14


def _home(name: str, package: str) -> Optional[ProtoFile]:
    """The file that has a message or enum, as one of this package sees it."""
    found = [one for one in FILES if name in one.messages or name in one.enums]
    for one in found:
        if one.package == package:
            return one
    return found[0] if found else None


def imports(file: ProtoFile) -> List[str]:
    """The files that this one needs."""
    names = [row.element for rows in file.messages.values() for row in rows]
    methods = methods_of(file)
    names += [one.request for one in methods] + [one.response for one in methods]
    homes = [_home(name, file.package) for name in names]
    return sorted({one.name for one in homes if one is not None} - {file.name})


def methods_of(file: ProtoFile) -> List[Method]:
    """The calls of its services."""
    return [
        method
        for method in BY_PATH.values()
        if method.package == file.package and method.service in file.services
    ]


@lru_cache(maxsize=None)
def descriptor(name: str) -> bytes:
    """The FileDescriptorProto of a file."""
    file = BY_NAME[name]
    content: Dict[str, Any] = {
        "name": file.name,
        "package": file.package,
        "dependency": imports(file),
        "message_type": [_message(one, file) for one in file.messages if "." not in one],
        "enum_type": [_enum(one, file) for one in file.enums if "." not in one],
        "service": [_service(one, file) for one in file.services],
        "syntax": "proto3",
    }
    return encode("FileDescriptorProto", content)


def _message(name: str, file: ProtoFile) -> Dict[str, Any]:
    rows = file.messages[name]
    inside = f"{name}."
    nested = [_message(one, file) for one in file.messages if one.startswith(inside)]
    nested += [_entry(row, file) for row in rows if row.type.startswith("map")]
    groups = [ONEOFS[name]] if any(row.presence == ONE for row in rows) else []
    fields = []
    for row in rows:
        one = _field(row, name, file)
        if row.presence == ONE:
            one["oneof_index"] = 0
        elif row.presence == OPTIONAL:
            one["oneof_index"] = len(groups)
            one["proto3_optional"] = True
            groups.append(f"_{row.name}")
        fields.append(one)
    return {
        "name": name.rpartition(".")[2],
        "field": fields,
        "nested_type": nested,
        "enum_type": [_enum(one, file) for one in file.enums if one.startswith(inside)],
        "oneof_decl": [{"name": group} for group in groups],
    }


def entry_name(row: Field) -> str:
    """The message that a map's entries are."""
    return "".join(word[:1].upper() + word[1:] for word in row.name.split("_")) + "Entry"


def _entry(row: Field, file: ProtoFile) -> Dict[str, Any]:
    return {
        "name": entry_name(row),
        "field": [_field(one, "", file) for one in entry_rows(row)],
        "options": {"map_entry": True},
    }


def _field(row: Field, message: str, file: ProtoFile) -> Dict[str, Any]:
    is_map = row.type.startswith("map")
    first, *rest = row.name.split("_")
    out: Dict[str, Any] = {
        "name": row.name,
        "number": row.number,
        "label": _LABEL_MANY if row.is_repeated or is_map else _LABEL_ONE,
        "json_name": first + "".join(word[:1].upper() + word[1:] for word in rest),
    }
    if is_map:
        entry = f".{file.package}.{message}.{entry_name(row)}"
        return {**out, "type": _MESSAGE, "type_name": entry}
    if row.element in _TYPES:
        return {**out, "type": _TYPES[row.element]}
    kind = _ENUM if row.element in messages.ALL_ENUMS else _MESSAGE
    home = _home(row.element, file.package)
    assert home is not None, row.element
    return {**out, "type": kind, "type_name": f".{home.package}.{row.element}"}


def _enum(name: str, file: ProtoFile) -> Dict[str, Any]:
    values = [{"name": key, "number": number} for key, number in file.enums[name].items()]
    return {"name": name.rpartition(".")[2], "value": values}


def _service(name: str, file: ProtoFile) -> Dict[str, Any]:
    methods = [
        {
            "name": one.name,
            "input_type": f".{one.package}.{one.request}",
            "output_type": f".{one.package}.{one.response}",
            "client_streaming": one.kind == BOTH,
            "server_streaming": one.kind in {STREAM, BOTH},
        }
        for one in methods_of(file)
        if one.service == name
    ]
    return {"name": name, "method": methods}
