# SPDX-License-Identifier: Apache-2.0
"""The functions ip() and cidr() and what they give, as Kubernetes adds them to CEL."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any, Callable, Dict, Union

from celpy.celtypes import BoolType, IntType

Address = Union[IPv4Address, IPv6Address]
Network = Union[IPv4Network, IPv6Network]


def _address(value: Any) -> Address:
    if isinstance(value, (IPv4Network, IPv6Network)):
        return value.network_address
    return ip_address(str(value))


def _network(value: Any) -> Network:
    return ip_network(str(value), strict=False)


def _is(parse: Callable[[Any], Any]) -> Callable[[Any], BoolType]:
    def test(value: Any) -> BoolType:
        try:
            parse(value)
        except ValueError:
            return BoolType(False)
        return BoolType(True)

    return test


def _contains_network(outer: Any, value: Any) -> BoolType:
    inner = _network(value)
    return BoolType(inner.version == outer.version and inner.subnet_of(outer))


def _link_local(address: Any, multicast: bool) -> BoolType:
    if not multicast:
        return BoolType(address.is_link_local)
    block = "224.0.0.0/24" if address.version == 4 else "ff02::/16"
    return BoolType(address in ip_network(block))


def _global_unicast(address: Any) -> BoolType:
    """As Go has it: private addresses count too."""
    special = (
        address.is_multicast,
        address.is_loopback,
        address.is_unspecified,
        address.is_link_local,
        str(address) == "255.255.255.255",
    )
    return BoolType(not any(special))


FUNCTIONS: Dict[str, Callable[..., Any]] = {
    "ip": _address,
    "cidr": _network,
    "isIP": _is(_address),
    "isCIDR": _is(_network),
    "family": lambda address: IntType(address.version),
    "isUnspecified": lambda address: BoolType(address.is_unspecified),
    "isLoopback": lambda address: BoolType(address.is_loopback),
    "isLinkLocalUnicast": lambda address: _link_local(address, multicast=False),
    "isLinkLocalMulticast": lambda address: _link_local(address, multicast=True),
    "isGlobalUnicast": _global_unicast,
    "containsIP": lambda network, address: BoolType(_address(address) in network),
    "containsCIDR": _contains_network,
    "prefixLength": lambda network: IntType(network.prefixlen),
    "masked": lambda network: network,
}
