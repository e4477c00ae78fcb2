# SPDX-License-Identifier: Apache-2.0
"""The calls that there are: Tetragon's services, and gRPC's own for health and reflection."""

from __future__ import annotations

from typing import Dict, Mapping, Tuple

from tetrapy.named import NamedTuple

UNARY, STREAM, BOTH = "unary", "stream", "both"
"""How many messages go: one each way, one there and many back, many each way."""

TETRAGON = "tetragon"
SENSORS = "FineGuidanceSensors"
EVENT_LOG = "EventLogService"
HEALTH = "grpc.health.v1"
REFLECTION = "grpc.reflection.v1"
REFLECTION_ALPHA = "grpc.reflection.v1alpha"


class Method(NamedTuple):
    """One call."""

    package: str
    service: str
    name: str
    request: str  # message
    response: str
    kind: str = UNARY

    @property
    def path(self) -> str:
        """As HTTP has it."""
        return f"/{self.package}.{self.service}/{self.name}"


def _pairs(service: str, names: str) -> Tuple[Method, ...]:
    """Calls whose messages are called as they are."""
    return tuple(
        Method(TETRAGON, service, name, f"{name}Request", f"{name}Response")
        for name in names.split()
    )


_METHODS: Tuple[Method, ...] = (
    Method(TETRAGON, SENSORS, "GetEvents", "GetEventsRequest", "GetEventsResponse", STREAM),
    Method(TETRAGON, SENSORS, "GetHealth", "GetHealthStatusRequest", "GetHealthStatusResponse"),
    *_pairs(
        SENSORS,
        """
        AddTracingPolicy DeleteTracingPolicy ListTracingPolicies ConfigureTracingPolicy
        EnableTracingPolicy DisableTracingPolicy ListSensors EnableSensor DisableSensor RemoveSensor
        ListDomains GetVersion GetInfo RuntimeHook GetDebug SetDebug
        """,
    ),
    *_pairs(EVENT_LOG, "SetEventLogParams GetEventLogParams"),
    Method(HEALTH, "Health", "Check", "HealthCheckRequest", "HealthCheckResponse"),
    Method(HEALTH, "Health", "Watch", "HealthCheckRequest", "HealthCheckResponse", STREAM),
    *(
        Method(
            package,
            "ServerReflection",
            "ServerReflectionInfo",
            "ServerReflectionRequest",
            "ServerReflectionResponse",
            BOTH,
        )
        for package in (REFLECTION, REFLECTION_ALPHA)
    ),
)

BY_PATH: Mapping[str, Method] = {method.path: method for method in _METHODS}

METHODS: Dict[str, Method] = {
    f"{method.service}/{method.name}": method for method in reversed(_METHODS)
}
"""`Service/Method` -> the call; of the two reflections the newer one."""
