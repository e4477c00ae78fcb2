# SPDX-License-Identifier: Apache-2.0
"""`sensors`: the way before policies had commands; agents of today refuse most of it."""

from __future__ import annotations

from typing import List

from tetrapy.cli.client.arguments import Values
from tetrapy.cli.client.session import SENSORS, call
from tetrapy.cli.config import write


def list_all(options: Values, _arguments: List[str]) -> int:
    """`sensors list`"""
    reply = call(options, "list sensors", f"{SENSORS}/ListSensors")
    lines = []
    for one in reply.get("sensors", []):
        state = "(enabled)" if one.get("enabled") else "(not enabled)"
        lines.append(f"{one.get('name', '')} {state} {one.get('collection', '')}\n")
    return write("".join(lines))


def enable(options: Values, arguments: List[str]) -> int:
    """`sensors enable`"""
    name = arguments[0]
    call(options, f"enable sensor {name}", f"{SENSORS}/EnableSensor", {"name": name})
    return write(f"sensor {name} enabled\n")


def disable(options: Values, arguments: List[str]) -> int:
    """`sensors disable`"""
    name = arguments[0]
    call(options, f"disable sensor {name}", f"{SENSORS}/DisableSensor", {"name": name})
    return write(f"sensor {name} disabled\n")


def remove(options: Values, arguments: List[str]) -> int:
    """`sensors rm`"""
    call(options, "remove sensor", f"{SENSORS}/RemoveSensor", {"name": arguments[0]})
    return 0
