# SPDX-License-Identifier: Apache-2.0
"""A policy as values that JSON has, in which it goes from one process to another."""

from __future__ import annotations

from typing import Any

from tetrapy.policy import types
from tetrapy.policy.part import Part

_CLASSES = {one.__name__: one for one in Part.__subclasses__()}


def plain(value: Any) -> Any:
    """A part of a policy as a list: its class, then its fields; a tuple has no class there."""
    if isinstance(value, Part):
        return [type(value).__name__, *(plain(getattr(value, name)) for name in value.parts)]
    if isinstance(value, tuple):
        return ["", *map(plain, value)]
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return value


def policy_of(value: Any) -> types.Policy:
    """The policy that `plain` made this of. Raises ValueError, KeyError, TypeError for another."""
    found = _restored(value)
    if not isinstance(found, types.Policy):
        raise TypeError("no policy")
    return found


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        name, *inner = value
        values = map(_restored, inner)
        if not name:
            return tuple(values)
        kind = _CLASSES[name]
        return kind(**dict(zip(kind.parts, values)))
    if isinstance(value, dict):
        return {name: _restored(inner) for name, inner in value.items()}
    return value
