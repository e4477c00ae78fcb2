# SPDX-License-Identifier: Apache-2.0
"""Selectors with the filters of their macros."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

from tetrapy.policy.types import Selector


def effective(selectors: Tuple[Selector, ...], macros: Mapping[str, Selector]) -> List[Selector]:
    """The selectors of a hook of a checked policy, with what their macros add."""
    return [with_macros(selector, macros) for selector in selectors]


def with_macros(selector: Selector, macros: Mapping[str, Selector]) -> Selector:
    """A selector with the label and the lists of its macros; those that are not there add none.

    matchWorkloads is of the selector itself, as in Tetragon.
    """
    if not selector.macros:
        return selector
    added: Dict[str, Any] = {}
    for macro in (macros[name] for name in selector.macros if name in macros):
        if macro.label and not selector.label:
            added.setdefault("label", macro.label)
        for name in macro.parts:
            filters = getattr(macro, name)
            if filters and isinstance(filters, tuple):
                added[name] = filters
    whole: Selector = selector.replaced(**{**added, "macros": ()})
    return whole
