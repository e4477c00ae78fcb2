# SPDX-License-Identifier: Apache-2.0
"""The private file that hands BTF to libbpf."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tetrapy.btf.custom_btf import PrivateFile, custom_path


def refuse(*_arguments: object) -> int:
    """A kernel without memory files."""
    raise OSError(38, "Function not implemented")


def test_a_memory_file_leaves_nothing_behind(tmp_path: Path) -> None:
    """The path reads as the bytes, nothing is in the run directory, and close ends it."""
    file = PrivateFile(b"bytes", str(tmp_path))
    path = file.path
    assert path.startswith("/proc/self/fd/")
    assert Path(path).read_bytes() == b"bytes"
    assert list(tmp_path.iterdir()) == []
    file.close()
    file.close()
    assert not os.path.exists(path)


def test_without_memory_files_a_private_directory_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of mode 0600 in a directory of mode 0700, both removed by close."""
    monkeypatch.setattr(os, "memfd_create", refuse)
    file = PrivateFile(b"bytes", str(tmp_path))
    path = Path(file.path)
    assert path.read_bytes() == b"bytes"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.parent.parent == tmp_path
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_a_python_without_memory_files_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """os.memfd_create is missing where Python was built against an old libc."""
    monkeypatch.delattr(os, "memfd_create")
    file = PrivateFile(b"bytes", str(tmp_path))
    assert Path(file.path).read_bytes() == b"bytes"
    file.close()


def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full the directory is gone and the error stays."""
    monkeypatch.setattr(os, "memfd_create", refuse)
    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(OSError, match="not implemented"):
        PrivateFile(b"bytes", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_types_have_a_path_while_they_are_used(tmp_path: Path) -> None:
    """The kernel's own BTF needs none, what was made of answers has one for a while."""
    with custom_path(None, str(tmp_path)) as path:
        assert path is None
    with custom_path(b"bytes", str(tmp_path)) as path:
        assert path is not None
        assert Path(path).read_bytes() == b"bytes"
    assert not os.path.exists(path)
