"""Names of network namespaces and interfaces."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from tetrapy.kernel import netns
from tetrapy.kernel.netns import NetworkNames, interface_names, namespace_names

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_interfaces() -> None:
    """pyroute2 tells of the interfaces that the C library finds."""
    assert interface_names() == dict(socket.if_nameindex())


def test_namespaces(tmp_path: Path) -> None:
    """A namespace has the name of the file that it is mounted on, the first of several."""
    first, second = tmp_path / "netns", tmp_path / "docker"
    first.mkdir()
    second.mkdir()
    (first / "blue").symlink_to("/proc/self/ns/net")
    (second / "a1b2").symlink_to("/proc/self/ns/net")
    (second / "other").write_text("")
    (second / "gone").symlink_to("/nowhere")
    names = namespace_names([str(tmp_path / "none"), str(first), str(second)])
    inode = os.stat("/proc/self/ns/net").st_ino
    assert names == {inode: "blue", (second / "other").stat().st_ino: "other"}


def test_directory_that_cannot_be_listed(tmp_path: Path) -> None:
    """It holds no names."""
    (tmp_path / "file").write_text("")
    assert namespace_names([str(tmp_path / "file")]) == {}


def test_names_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A known number is not looked for again; an unknown one is, since names come and go."""
    asked: list[str] = []
    monkeypatch.setattr(netns, "namespace_names", lambda _: asked.append("ns") or {7: "blue"})
    monkeypatch.setattr(netns, "interface_names", lambda: asked.append("if") or {1: "lo"})
    names = NetworkNames()
    assert [names.namespace(n) for n in (7, 7, 8)] == ["blue", "blue", ""]
    assert [names.interface(n) for n in (1, 1, 2)] == ["lo", "lo", ""]
    assert asked == ["ns", "ns", "if", "if"]
