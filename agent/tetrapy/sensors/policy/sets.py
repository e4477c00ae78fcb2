# SPDX-License-Identifier: Apache-2.0
"""What filters compare with, as members of sets: prefixes, of which the longest is looked up."""

from __future__ import annotations

from struct import Struct
from typing import Dict, Iterable, List, Sequence, Tuple

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.policy.values import Network
from tetrapy.sensors.policy.tables import Prefix

U64 = (1 << 64) - 1
SIGN = 1 << 63
_COMMON = frozenset(b"/\0")
_PIECE = Struct("=II")  # bytes of the text, what the piece before said


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


def pieces(texts: Iterable[bytes], most: int) -> Dict[Prefix, int]:
    """Members by which texts are compared as a whole, piece by piece, and what each says.

    `most`: bytes of a member. In front of a piece are the size of its text and what the piece
    before it said, so that each text is a chain of its own.
    """
    found: Dict[Prefix, int] = {}
    room = most - _PIECE.size
    for text in texts:
        said = 0
        for at in range(0, len(text) or 1, room):
            piece = _PIECE.pack(len(text), said) + text[at : at + room].ljust(room, b"\0")
            said = found.setdefault((8 * most, piece), len(found) + 1)
    return found


def telling_byte(texts: Sequence[bytes]) -> Tuple[int, List[int]]:
    """The place where other texts differ most likely from all of these, and which bytes are there.

    That is where they have the fewest different bytes, the last such place since paths begin alike;
    slashes are in every path, and a zero byte is behind every text. The bytes are bits of four
    words of 64.
    """
    columns = [set(column) for column in zip(*texts)]
    if not columns:  # one of them is empty
        return 0, _words(range(256))
    _, _, at = min((bool(column & _COMMON), len(column), -at) for at, column in enumerate(columns))
    return -at, _words(columns[-at])


def first_bytes(texts: Iterable[bytes], *, any_case: bool) -> List[int]:
    """A bit for each byte that one of the texts begins with, in four words of 64."""
    firsts = {text[:1] for text in texts}
    if any_case:
        firsts |= {first.lower() for first in firsts} | {first.upper() for first in firsts}
    return _words({byte for first in firsts for byte in first})


def _words(bytes_there: Iterable[int]) -> List[int]:
    bits = 0
    for byte in bytes_there:
        bits |= 1 << byte
    return [bits >> at & U64 for at in range(0, 256, 64)]


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
