# SPDX-License-Identifier: Apache-2.0
"""What functions, methods and literals of CEL give, for the checker."""

from __future__ import annotations

from typing import Dict, Tuple

LITERALS: Dict[str, str] = {
    "UINT_LIT": "uint",
    "FLOAT_LIT": "double",
    "INT_LIT": "int",
    "MLSTRING_LIT": "string",
    "STRING_LIT": "string",
    "BYTES_LIT": "bytes",
    "BOOL_LIT": "bool",
    "NULL_LIT": "",  # it may be compared with every wrapper
}

MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})

FUNCTIONS: Dict[str, str] = {
    "has": "bool",
    "matches": "bool",
    "size": "int",
    "int": "int",
    "uint": "uint",
    "double": "double",
    "string": "string",
    "bytes": "bytes",
    "bool": "bool",
    "timestamp": "timestamp",
    "duration": "duration",
    "type": "",
    "ip": "ip",
    "cidr": "cidr",
    "isIP": "bool",
    "isCIDR": "bool",
}
"""Function -> type of its result."""

TIME = (
    "getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours getMilliseconds"
    " getMinutes getMonth getSeconds"
).split()
_ADDRESS = (
    "isUnspecified isLoopback isLinkLocalUnicast isLinkLocalMulticast isGlobalUnicast".split()
)

METHODS: Dict[str, Tuple[str, str]] = {
    "startsWith": ("string", "bool"),
    "endsWith": ("string", "bool"),
    "contains": ("string", "bool"),
    "matches": ("string", "bool"),
    "size": ("", "int"),
    **dict.fromkeys(TIME, ("", "int")),
    **dict.fromkeys(_ADDRESS, ("ip", "bool")),
    "family": ("ip", "int"),
    "containsIP": ("cidr", "bool"),
    "containsCIDR": ("cidr", "bool"),
    "ip": ("cidr", "ip"),
    "masked": ("cidr", "cidr"),
    "prefixLength": ("cidr", "int"),
}
"""Method -> type that it is for ("" for several), type of its result."""
