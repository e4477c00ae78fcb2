# SPDX-License-Identifier: Apache-2.0
"""What filters compare with, as members of sets: prefixes, of which the longest is looked up."""

from __future__ import annotations

from typing import Iterable, List, Sequence, Tuple

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.policy.values import Network
from tetrapy.sensors.policy.tables import Prefix

U64 = (1 << 64) - 1
SIGN = 1 << 63


def text_sets(
    operator: str, texts: Sequence[bytes], most: int
) -> List[Tuple[int, Tuple[Prefix, ...]]]:
    """Sets for a text, with the bytes of its end that are looked up there; 0 for its beginning.

    Equality is a prefix that ends with the zero byte behind the text; the ends of texts are grouped
    by their length. `most`: bytes of a member. Raises PolicyUnsupportedError.
    """
    if operator == "Postfix":
        lengths = sorted({len(text) for text in texts})
        groups = [[text for text in texts if len(text) == length] for length in lengths]
    elif operator in {"Equal", "Prefix"}:
        lengths, groups = [0], [list(texts)]
    else:
        raise PolicyUnsupportedError(f"matchArgs: {operator}")
    sets = []
    for length, group in zip(lengths, groups):
        members = []
        for text in group:
            whole = text if operator == "Prefix" else text + b"\0"
            if len(whole) > most:
                raise PolicyUnsupportedError(
                    f"matchArgs: {operator} with a text of {len(text)} bytes"
                )
            members.append((8 * len(whole), whole))
        sets.append((length, tuple(members)))
    return sets


def network(network: Network) -> Prefix:
    """An address as the kernel side looks it up: a byte with the version in front."""
    version = 4 if len(network.address) == 4 else 6
    return 8 + network.bits, bytes([version]) + network.address


def ordered(number: int, bits: int, is_signed: bool) -> int:
    """A number as the kernel side compares it: without a sign, in the same order."""
    if is_signed:
        return (number & U64) ^ SIGN
    return number & ((1 << bits) - 1)


def covering(low: int, high: int) -> Iterable[Prefix]:
    """The fewest prefixes of 8 bytes, big end first, that cover the numbers from low to high."""
    while low <= high:
        size = low & -low or 1 << 64
        while size > high - low + 1:
            size >>= 1
        yield 64 - (size.bit_length() - 1), low.to_bytes(8, "big")
        low += size
