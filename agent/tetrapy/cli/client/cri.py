# SPDX-License-Identifier: Apache-2.0
"""`cri`: asks the container runtime of this host, by Kubernetes' Container Runtime Interface.

Only the few fields of its messages (runtime.v1) that are shown are known here.
"""

from __future__ import annotations

import os
import posixpath
from typing import Dict, List, Tuple

from tetrapy.api.client import Channel
from tetrapy.api.grpc import RpcError
from tetrapy.api.scalars import as_bytes
from tetrapy.api.wire import BYTES, VARINT, WireError, fields, sized, tag
from tetrapy.cli.client.arguments import Values
from tetrapy.cli.client.session import status_text
from tetrapy.cli.config import write
from tetrapy.config import sources
from tetrapy.errors import SettingsError, TetrapyError
from tetrapy.go_quoting import quoted
from tetrapy.host_files import host_path, host_root
from tetrapy.json_codec import dumps, loads

ENDPOINTS = (
    "unix:///run/containerd/containerd.sock",
    "unix:///run/crio/crio.sock",
    "unix:///var/run/cri-dockerd.sock",
)
_SERVICE = "/runtime.v1.RuntimeService"
_VERSION = ("version", "runtime_name", "runtime_version", "runtime_api_version")  # from number 1
_SLICE = ".slice"


def version(options: Values, _arguments: List[str]) -> int:
    """`cri version`: of the runtime and of the interface."""
    _, found = _runtime(options)
    if options["output"] == "json":
        return write(dumps(found).decode() + "\n")
    return write(" ".join(f"{name}:{quoted(value)}" for name, value in found.items()) + "\n")


def cgroup_path(options: Values, arguments: List[str]) -> int:
    """`cri cgroup_path CONTAINER`: where the cgroup of a container is, below the hierarchy."""
    endpoint, _ = _runtime(options)
    request = tag(1, BYTES) + sized(arguments[0].encode()) + tag(2, VARINT) + b"\1"
    try:
        reply = _call(options, endpoint, "ContainerStatus", request)
        entries = [as_bytes(value) for number, _, value in fields(reply) if number == 2]
        info = dict(_entry(entry) for entry in entries)
        document = loads(info["info"])
        path = document["runtimeSpec"]["linux"]["cgroupsPath"]
    except RpcError as err:
        raise TetrapyError(status_text(err.status)) from None
    except (WireError, ValueError, KeyError, TypeError):
        raise TetrapyError("failed to find cgroupsPath in json") from None
    return write(path_of(str(path)) + "\n")


def _runtime(options: Values) -> Tuple[str, Dict[str, str]]:
    """The endpoint that answers, and its versions. Raises TetrapyError, SettingsError."""
    given = options["runtime-endpoint"]
    if given and not given.startswith("unix://"):
        raise SettingsError("only unix endpoints are supported")
    for endpoint in (given,) if given else ENDPOINTS:
        try:
            reply = _call(options, endpoint, "Version", b"")
            texts = {number: as_bytes(value).decode() for number, _, value in fields(reply)}
        except RpcError as err:
            if given:
                why = f"validate CRI v1 runtime API for endpoint {quoted(given)}"
                raise TetrapyError(f"{why}: {status_text(err.status)}") from None
        except (WireError, ValueError) as err:
            raise TetrapyError(f"{endpoint}: no answer of a container runtime: {err}") from None
        else:
            return endpoint, {name: texts.get(at, "") for at, name in enumerate(_VERSION, 1)}
    raise TetrapyError(f"unable to connect to CRI endpoints ({' '.join(map(quoted, ENDPOINTS))})")


def _call(options: Values, endpoint: str, method: str, request: bytes) -> bytes:
    """Raises RpcError."""
    seconds = options["timeout"] / 1e9
    with Channel(_found(endpoint), None, seconds, options["max-recv-size"]) as channel:
        return b"".join(channel.stream_bytes(f"{_SERVICE}/{method}", request, seconds))


def _found(endpoint: str) -> str:
    """It, or the machine's where the container that this may be in has none."""
    path = endpoint[len("unix://") :]
    if os.path.exists(path):
        return endpoint
    return f"unix://{host_path(host_root(sources.read([], os.environ).procfs), path)}"


def _entry(data: bytes) -> Tuple[str, str]:
    parts = {number: as_bytes(value).decode() for number, _, value in fields(data)}
    return parts.get(1, ""), parts.get(2, "")


def path_of(text: str) -> str:
    """The path that a runtime's `cgroupsPath` means: it may be `slice:prefix:name` for systemd.

    Raises TetrapyError.
    """
    if "/" in text:
        return text
    parts = text.split(":")
    if len(parts) != 3:
        raise TetrapyError(f"unknown cgroup path: {text}")
    slice_, scope, name = parts
    if not name.endswith(_SLICE):
        name = f"{scope}-{name}.scope"
    return posixpath.join(_expanded(slice_, text), name)


def _expanded(slice_: str, text: str) -> str:
    """Directories of a slice: `a-b.slice` is in `a.slice` (systemd.slice(5))."""
    words = slice_[: -len(_SLICE)].split("-") if slice_.endswith(_SLICE) else [""]
    if slice_ == f"-{_SLICE}":
        return "/"
    if "" in words:
        raise TetrapyError(
            f"failed to parse cgroup path: {text} ({slice_} does not seem to be a slice)"
        )
    return "".join(f"/{'-'.join(words[: at + 1])}{_SLICE}" for at in range(len(words)))
