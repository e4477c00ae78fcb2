# SPDX-License-Identifier: Apache-2.0
"""The .proto files of the tree as protoc and protobuf understand them: the oracle for our codec."""

from __future__ import annotations

import json
import tempfile
from functools import lru_cache
from importlib import resources
from typing import Any

import grpc_tools
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    json_format,
    message_factory,
    struct_pb2,
)
from grpc_tools import protoc

from tests.support.paths import ROOT

PROTO = ROOT / "proto"


@lru_cache(maxsize=1)
def file_set() -> descriptor_pb2.FileDescriptorSet:
    """What protoc reads in proto/, with what it imports."""
    included = resources.files(grpc_tools) / "_proto"
    with tempfile.NamedTemporaryFile() as out:
        words = ["protoc", f"-I{PROTO}", f"-I{included}", "--include_imports"]
        words += [f"--descriptor_set_out={out.name}", *map(str, sorted(PROTO.rglob("*.proto")))]
        assert protoc.main(words) == 0
        return descriptor_pb2.FileDescriptorSet.FromString(out.read())


@lru_cache(maxsize=1)
def pool() -> descriptor_pool.DescriptorPool:
    """All messages of the tree's files."""
    found = descriptor_pool.DescriptorPool()
    for file in file_set().file:
        found.Add(file)
    lists = descriptor_pb2.FileDescriptorProto()  # what no file imports, and Any may hold
    struct_pb2.DESCRIPTOR.CopyToProto(lists)
    found.Add(lists)
    return found


def message_class(name: str, package: str = "tetragon") -> Any:
    """The class that protobuf makes of a message."""
    return class_of(pool().FindMessageTypeByName(f"{package}.{name}"))


def class_of(descriptor: Any) -> Any:
    """The class that protobuf makes of a message's descriptor."""
    return message_factory.GetMessageClass(descriptor)


def to_json(message: Any) -> Any:
    """The message as protojson has it with .proto names."""
    text = json_format.MessageToJson(
        message, preserving_proto_field_name=True, indent=None, descriptor_pool=pool()
    )
    return json.loads(text)


def from_json(name: str, value: Any) -> Any:
    """The message of a JSON-shaped value."""
    return from_class(message_class(name), value)


def from_class(kind: Any, value: Any) -> Any:
    """The same, of a class."""
    return json_format.ParseDict(value, kind(), descriptor_pool=pool())
