# SPDX-License-Identifier: Apache-2.0
"""Which hooks the programs serve that are loaded for simple ones (simple_hooks of bpf/call.h).

Most hooks are: what the verifier has to walk for them is a quarter of the whole.
"""

from __future__ import annotations

from tetrapy.sensors.policy.tables import HookTable, HookWriter, Value


def is_simple(table: HookTable, writer: HookWriter) -> bool:
    """Whether a hook needs nothing of what is left out of such programs."""
    made = (table.context, table.workloads, table.file_types, table.operations)
    if any((*made, table.return_operations, table.sockets)):
        return False
    if len(table.values) > writer.limits["SIMPLE_VALUES"]:
        return False
    most = writer.limits["SIMPLE_FILTERS"]
    compared = {writer.comparisons[name] for name in ("COMPARE_RANGES", "COMPARE_MASK")}
    return (
        len(table.plain) <= most
        and len(table.returns) <= most
        and all(one.comparison in compared for one in table.plain + table.returns)
        and all(_is_simple(value, writer) for value in table.values)
    )


def _is_simple(value: Value, writer: HookWriter) -> bool:
    return (
        not value.flags & writer.value_flags["VALUE_RESOLVED"]
        and value.kind != writer.kinds["VALUE_POINTED"]
        and value.source != writer.sources["SOURCE_MEMORY"]
    )
