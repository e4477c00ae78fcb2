# SPDX-License-Identifier: Apache-2.0
"""Server reflection: which services there are, and their .proto files, for tools such as grpcurl.

Both versions of the service, which differ in nothing but their names.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import Any, Callable, Dict, List, Mapping, Optional, Set

from tetrapy.api.codec import Message
from tetrapy.api.grpc import NOT_FOUND, UNIMPLEMENTED
from tetrapy.api.proto_files import BY_NAME, FILES, descriptor, imports
from tetrapy.api.router import Context, Handler
from tetrapy.api.services import REFLECTION, REFLECTION_ALPHA


def handlers(others: Mapping[str, Handler]) -> Dict[str, Handler]:
    """The calls of reflection, at an address that has `others`, by path."""
    paths = [
        f"/{package}.ServerReflection/ServerReflectionInfo"
        for package in (REFLECTION, REFLECTION_ALPHA)
    ]
    services = sorted({path.split("/")[1] for path in (*others, *paths)})

    def begin(context: Context) -> Callable[[Message], Message]:
        return lambda request: {
            "valid_host": request.get("host", ""),
            "original_request": request,
            **_reply(request, services),
        }

    return dict.fromkeys(paths, begin)


def _reply(request: Message, services: List[str]) -> Dict[str, Any]:
    if "list_services" in request:
        return {"list_services_response": {"service": [{"name": name} for name in services]}}
    if "file_by_filename" in request:
        name = request["file_by_filename"]
        return _files(name if name in BY_NAME else None, f"file {name}")
    if "file_containing_symbol" in request:
        symbol = request["file_containing_symbol"]
        return _files(_home(symbol), f"symbol {symbol}")
    if "all_extension_numbers_of_type" in request or "file_containing_extension" in request:
        return _error(NOT_FOUND, "there are no extensions")
    return _error(UNIMPLEMENTED, "an unknown request")


def _home(symbol: str) -> Optional[str]:
    """The file that declares a service, call, message, field or enum."""
    for file in FILES:
        if not symbol.startswith(f"{file.package}."):
            continue
        name = symbol[len(file.package) + 1 :]
        first = name.split(".")[0]
        if first in file.messages or first in file.enums or first in file.services:
            return file.name
    return None


def _files(name: Optional[str], what: str) -> Dict[str, Any]:
    """The file and all that it needs."""
    if name is None:
        return _error(NOT_FOUND, f"there is no {what}")
    found: List[str] = []
    seen: Set[str] = {name}
    waiting = [name]
    while waiting:
        one = waiting.pop(0)
        found.append(b2a_base64(descriptor(one), newline=False).decode())
        for other in imports(BY_NAME[one]):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return {"file_descriptor_response": {"file_descriptor_proto": found}}


def _error(code: int, message: str) -> Dict[str, Any]:
    return {"error_response": {"error_code": code, "error_message": message}}
