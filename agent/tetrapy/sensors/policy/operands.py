# SPDX-License-Identifier: Apache-2.0
"""Where the argument of a static probe is -> how the kernel side gets there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.sensors.policy.tables import HookWriter, MemberPath, Value

if TYPE_CHECKING:
    from tetrapy.abi.static_probes import Operand  # of USDTs: most policies have none

_U32, _U64 = (1 << 32) - 1, (1 << 64) - 1


def placed(
    value: Value, operand: Operand, writer: HookWriter, registers: Mapping[str, int]
) -> Value:
    """The value, read from the operand; `registers` are offsets in the saved ones.

    A number that the policy takes for a longer one than the probe has keeps the probe's sign.
    Raises PolicyUnsupportedError.
    """
    sources, signed = writer.sources, writer.value_flags["VALUE_SIGNED"]
    if value.size > operand.size:
        flags = value.flags & ~signed | (signed if operand.is_signed else 0)
        value = value._replace(size=operand.size, flags=flags)
    if not operand.register:
        words = (operand.constant & _U32, (operand.constant & _U64) >> 32)
        return value._replace(source=sources["SOURCE_CONSTANT"], path=MemberPath(words))
    missing = [name for name in (operand.register, operand.added) if name and name not in registers]
    if missing:
        raise PolicyUnsupportedError(f"args: register {missing[0]}")
    place = registers[operand.register]
    if not operand.is_memory:
        return value._replace(source=sources["SOURCE_REGISTERS"], place=place)
    path = MemberPath(
        (
            operand.offset & _U32,
            (operand.offset & _U64) >> 32,
            registers[operand.added] + 1 if operand.added else 0,
            operand.scale,
        ),
        operand.size,
    )
    return value._replace(source=sources["SOURCE_MEMORY"], place=place, path=path)
