# SPDX-License-Identifier: Apache-2.0
"""gRPC over HTTP/2, but for the HTTP/2: statuses, timeouts, and messages in the bytes of a stream.

Specification: grpc/doc/PROTOCOL-HTTP2.md.
"""

from __future__ import annotations

import zlib
from itertools import chain
from struct import Struct
from typing import Dict, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote, unquote

from tetrapy.errors import TetrapyError
from tetrapy.named import NamedTuple

OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND = 0, 1, 2, 3, 4, 5
ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION = 6, 7, 8, 9
UNIMPLEMENTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 12, 13, 14, 16

NAMES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS"
    " PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED"
    " INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
).split()

_MESSAGE_HEAD = Struct(">BI")  # whether it is compressed, its size
CONTENT_TYPE = "application/grpc"
MAX_MESSAGE = 4 << 20  # bytes of a request, also after it was decompressed: gRPC's usual limit

_PREFIX = 5  # bytes before a message: whether it is compressed, and its length
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_TIMEOUT_DIGITS = 8

# What HTTP says where gRPC says nothing.
_OF_HTTP = {
    "400": INTERNAL,
    "401": UNAUTHENTICATED,
    "403": PERMISSION_DENIED,
    "404": UNIMPLEMENTED,
    "429": UNAVAILABLE,
    "502": UNAVAILABLE,
    "503": UNAVAILABLE,
    "504": UNAVAILABLE,
}


class Status(NamedTuple):
    """How a call ended."""

    code: int
    message: str = ""

    @property
    def name(self) -> str:
        """The code's name."""
        return NAMES[self.code] if 0 <= self.code < len(NAMES) else f"code {self.code}"

    def headers(self) -> List[Tuple[str, str]]:
        """The trailers that report it."""
        trailers = [("grpc-status", str(self.code))]
        if self.message:
            trailers.append(
                ("grpc-message", quote(self.message, safe=" !\"#$&'()*+,/:;<=>?@[]^`{|}~"))
            )
        return trailers

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Status:
        """What trailers, or the headers of a response without any, report."""
        code = headers.get("grpc-status")
        if code is None:
            http = headers.get(":status", "")
            known = _OF_HTTP.get(http, UNKNOWN)
            return cls(known, f"no gRPC status; the HTTP status is {http or 'missing'}")
        message = unquote(headers.get("grpc-message", ""))
        return cls(int(code) if code.isdigit() and len(code) < 4 else UNKNOWN, message)


class RpcError(TetrapyError):
    """A call ended otherwise than OK."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.status = Status(code, message)


class _MessageHeads(Dict[int, bytes]):
    """What stands before so many bytes of a message that is not compressed."""

    _KEPT = 2048  # the longest message whose head is kept

    def __missing__(self, size: int) -> bytes:
        head = _MESSAGE_HEAD.pack(0, size)
        if size < self._KEPT:
            self[size] = head
        return head


_head_of = _MessageHeads().__getitem__


def frame(message: bytes) -> bytes:
    """The message as it stands in a stream, not compressed."""
    return _head_of(len(message)) + message


def frames(messages: Sequence[bytes]) -> bytes:
    """Messages one after the other, as `frame` has each."""
    heads = map(_head_of, map(len, messages))
    return b"".join(chain.from_iterable(zip(heads, messages)))


def timeout_text(seconds: float) -> str:
    """The header grpc-timeout."""
    milliseconds = max(int(seconds * 1000), 1)
    if milliseconds < 10**_TIMEOUT_DIGITS:
        return f"{milliseconds}m"
    return f"{min(milliseconds // 1000, 10**_TIMEOUT_DIGITS - 1)}S"


def parse_timeout(text: str) -> float:
    """Seconds of a header grpc-timeout. Raises RpcError."""
    digits, unit = text[:-1], text[-1:]
    right = digits.isascii() and digits.isdigit() and len(digits) <= _TIMEOUT_DIGITS
    if not right or unit not in _UNITS:
        raise RpcError(INTERNAL, f"no timeout: {text[:20]!r}")
    return int(digits) * _UNITS[unit]


class Deframer:
    """The bytes of a stream -> its messages; no more than a message is ever kept."""

    def __init__(self, encoding: str = "identity", most: int = MAX_MESSAGE) -> None:
        """`encoding` is what the header grpc-encoding says; `most` bytes a message may have."""
        self._encoding = encoding
        self._most = most
        self._data = bytearray()

    def __len__(self) -> int:
        """The bytes that are kept."""
        return len(self._data)

    def add(self, data: bytes) -> List[bytes]:
        """Take bytes; returns the messages that are whole now. Raises RpcError."""
        kept = self._data
        kept += data
        found = []
        at = 0
        while len(kept) - at >= _PREFIX:
            size = int.from_bytes(kept[at + 1 : at + _PREFIX], "big")
            if size > self._most:
                raise RpcError(
                    RESOURCE_EXHAUSTED, f"a message has {size} bytes, more than {self._most}"
                )
            end = at + _PREFIX + size
            if len(kept) < end:
                break
            found.append(self._message(kept[at], bytes(kept[at + _PREFIX : end])))
            at = end
        del kept[:at]
        return found

    def _message(self, flag: int, data: bytes) -> bytes:
        if not flag:
            return data
        if flag != 1 or self._encoding == "identity":
            raise RpcError(INTERNAL, "a message is marked as compressed, and no header says how")
        return _decompressed(data, self._most)


def check_encoding(encoding: Optional[str]) -> str:
    """The encoding of a header grpc-encoding. Raises RpcError for one that is not known."""
    if encoding in {None, "", "identity"}:
        return "identity"
    if encoding not in {"gzip", "deflate"}:
        raise RpcError(UNIMPLEMENTED, f"encoding {encoding!r}; there are identity, gzip, deflate")
    return str(encoding)


def _decompressed(data: bytes, most: int) -> bytes:
    """The bytes, of gzip or zlib; never more than `most` are made. Raises RpcError."""
    reader = zlib.decompressobj(32 + zlib.MAX_WBITS)  # either head
    try:
        out = reader.decompress(data, most + 1)
    except zlib.error as err:
        raise RpcError(INTERNAL, f"a message cannot be decompressed: {err}") from err
    if len(out) > most:
        raise RpcError(RESOURCE_EXHAUSTED, f"a message has more than {most} bytes, decompressed")
    if not reader.eof:
        raise RpcError(INTERNAL, "a compressed message is cut short")
    return out
