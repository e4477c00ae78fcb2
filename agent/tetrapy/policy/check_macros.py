# SPDX-License-Identifier: Apache-2.0
"""Macros: where the filters of a selector stand, and mistakes in what it takes of them."""

from __future__ import annotations

from typing import List, Mapping, Tuple

from tetrapy.named import NamedTuple
from tetrapy.policy.macros import with_macros
from tetrapy.policy.problems import Problems, expected, joined, quoted
from tetrapy.policy.schema.field import LIST
from tetrapy.policy.schema.selectors import SELECTOR
from tetrapy.policy.types import Selector

# matchWorkloads is of the selector itself, as in Tetragon.
_FIELDS = {
    field.attribute: field.name
    for field in SELECTOR.fields
    if field.many == LIST and field.name != "macros"
}


class Merged(NamedTuple):
    """A selector without macros, and field -> path of the document where the field stands."""

    selector: Selector
    path: str
    sources: Mapping[str, str]

    def place(self, attribute: str) -> str:
        """The path of a list of filters."""
        return self.sources[attribute]


def merged(
    selectors: Tuple[Selector, ...], path: str, macros: Mapping[str, Selector], problems: Problems
) -> List[Merged]:
    """Each selector of the list at `path` with what its macros add; mistakes go to `problems`."""
    return [
        _merge(selector, f"{path}[{number}]", macros, problems)
        for number, selector in enumerate(selectors)
    ]


def _merge(
    selector: Selector, path: str, macros: Mapping[str, Selector], problems: Problems
) -> Merged:
    sources = {attribute: f"{path}.{name}" for attribute, name in _FIELDS.items()}
    filled = {attribute for attribute in _FIELDS if getattr(selector, attribute)}
    for at, name in enumerate(selector.macros):
        problems.spend(path)
        macro = macros.get(name)
        where = f"{path}.macros[{at}]"
        if macro is None:
            known = expected(name, macros) if macros else "spec.selectorsMacros is empty"
            problems.error(where, f"{quoted(name)} is no macro of this policy; {known}")
            continue
        if macro.macros:
            problems.error(where, f"{quoted(name)} uses macros itself, which is not supported")
        for attribute, field in _FIELDS.items():
            if not getattr(macro, attribute):
                continue
            if attribute in filled:
                what = f"{quoted(name)} adds {field}, which is there already"
                problems.error(where, f"{what}: a field may come from one place only")
            filled.add(attribute)
            sources[attribute] = joined(joined("spec.selectorsMacros", name), field)
    return Merged(with_macros(selector, macros), path, sources)
