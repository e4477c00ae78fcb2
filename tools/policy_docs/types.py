# SPDX-License-Identifier: Apache-2.0
"""agent/tetrapy/policy/types.py: a class for each type of the schema."""

from __future__ import annotations

from tetrapy.policy.schema.field import ANYTHING, FLAG, LIST, MAP, TEXT, Field
from tetrapy.policy.schema.policy import object_types

PATH = "agent/tetrapy/policy/types.py"
HEAD = '''\
# SPDX-License-Identifier: Apache-2.0
"""A policy as objects, one class for each type of the schema.

Written by `python3 -m tools.policy_docs` from the schema of policies; do not edit.
"""

from __future__ import annotations

from typing import Mapping, Optional, Tuple

from tetrapy.policy.part import Part
'''


def source() -> str:
    """The content of the module."""
    classes = []
    for one in object_types():
        rows = [
            f"    {field.attribute}: {_annotation(field)}"
            for field in one.fields
            if field.kind != ANYTHING
        ]
        classes.append(
            "\n".join(["", "", f"class {one.name}(Part):", _docstring(one.meaning), "", *rows, ""])
        )
    return HEAD + "".join(classes)


def _docstring(text: str) -> str:
    return f'    """{text}"""'


def _annotation(field: Field) -> str:
    inner = {TEXT: "str", FLAG: "bool"}.get(str(field.kind), "int")
    if field.object_type:
        inner = field.object_type.name
    if field.many == LIST:
        return f"Tuple[{inner}, ...]"
    if field.many == MAP:
        return f"Mapping[str, {inner}]"
    return f"Optional[{inner}]" if field.object_type and not field.required else inner
