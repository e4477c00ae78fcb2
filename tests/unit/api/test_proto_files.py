# SPDX-License-Identifier: Apache-2.0
"""The .proto files, and what server reflection tells of them."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2

from tests.support import proto
from tests.support.paths import ROOT
from tetrapy.api.proto_files import FILES, descriptor
from tools.proto_files import files


@pytest.mark.parametrize("path", sorted(files()))
def test_the_tree_has_what_is_written_now(path: str) -> None:
    """`python3 -m tools.proto_files` was run after the last change."""
    assert (ROOT / path).read_text() == files()[path]


@pytest.mark.parametrize("name", [one.name for one in FILES if one.package == "tetragon"])
def test_reflection_tells_what_protoc_reads(name: str) -> None:
    """Every message, field, enum, group, call, and in which order."""
    theirs = next(file for file in proto.file_set().file if file.name == name)
    ours = descriptor_pb2.FileDescriptorProto.FromString(descriptor(name))
    for one in (ours, theirs):
        one.ClearField("dependency")
    assert ours == theirs
    assert sorted(ours.dependency) == sorted(theirs.dependency)


@pytest.mark.parametrize("name", [one.name for one in FILES])
def test_files_are_whole(name: str) -> None:
    """Each file's dependencies are files too."""
    ours = descriptor_pb2.FileDescriptorProto.FromString(descriptor(name))
    assert set(ours.dependency) <= {one.name for one in FILES}
