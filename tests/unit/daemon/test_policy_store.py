# SPDX-License-Identifier: Apache-2.0
"""Records of clients' policies: what they hold, and which are not believed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.daemon.policy_entry import Entry
from tetrapy.daemon.policy_store import PolicyStore, PolicyStoreError


class Restored:
    """Takes what is restored, in place of the policies of an agent."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, bool]] = []
        self.errors: list[str] = []

    def prepare_text(self, text: str, _sender: str, domain: str, *, enabled: bool) -> None:
        self.got.append((text, domain, enabled))

    def log(self, _level: str, _what: str, **more: str) -> None:
        self.errors.append(more["error"])


def entry(name: str = "a", domain: str = "grpc", text: str = "kind: x\n") -> Entry:
    one = Entry(1, "a client", domain)
    one.name, one.text = name, text
    return one


def restored(directory: Path) -> Restored:
    found = Restored()
    PolicyStore(str(directory)).restore(found, found.log)
    return found


def test_a_record(tmp_path: Path) -> None:
    """As Tetragon writes them, for root alone; saved again it is replaced, forgotten it is gone."""
    store = PolicyStore(str(tmp_path / "store"))
    store.save(entry(), enabled=True)
    path = tmp_path / "store/a::grpc.json"
    assert json.loads(path.read_text()) == {"yaml": "kind: x\n", "enabled": True}
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    store.save(entry(text="kind: y\n"), enabled=False)
    assert restored(tmp_path / "store").got == [("kind: y\n", "grpc", False)]
    store.forget(entry())
    store.forget(entry())
    assert os.listdir(tmp_path / "store") == []


@pytest.mark.slow
@given(st.text(max_size=40), st.booleans())
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str, on: bool) -> None:
    """Whatever a client sent."""
    directory = tmp_path_factory.mktemp("store", numbered=True)
    PolicyStore(str(directory)).save(entry(text=text), enabled=on)
    assert restored(directory).got == [(text, "grpc", on)]


@pytest.mark.parametrize(("name", "domain"), [("a/b", "grpc"), ("a", "../x"), ("a", "x:y")])
def test_names_that_are_no_file_of_the_directory(tmp_path: Path, name: str, domain: str) -> None:
    """Such a policy is not kept."""
    with pytest.raises(PolicyStoreError, match="cannot be kept under the name"):
        PolicyStore(str(tmp_path)).save(entry(name, domain), enabled=True)


BAD: dict[str, Any] = {
    "no JSON": b"{",
    "a list": b"[]",
    "no text": b'{"enabled": true}',
    "a number": b'{"yaml": 1, "enabled": true}',
    "a word": b'{"yaml": "", "enabled": "yes"}',
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_record(tmp_path: Path, what: str) -> None:
    """It is told, and keeps no other from being restored."""
    (tmp_path / "a::grpc.json").write_bytes(BAD[what])
    (tmp_path / ".123").write_bytes(b"half")
    PolicyStore(str(tmp_path)).save(entry("b"), enabled=True)
    found = restored(tmp_path)
    assert found.got == [("kind: x\n", "grpc", True)]
    assert "no record of a policy" in found.errors[0]


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Nor waits anybody for a FIFO."""
    (tmp_path / "a::grpc.json").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "b::grpc.json")
    found = restored(tmp_path)
    assert (found.got, len(found.errors)) == ([], 2)


def test_a_directory_that_others_may_write_to(tmp_path: Path) -> None:
    """Nothing in it is believed, and nothing is written into it."""
    store = PolicyStore(str(tmp_path))
    store.save(entry(), enabled=True)
    tmp_path.chmod(0o777)
    found = restored(tmp_path)
    assert found.got == []
    assert "may be written to by others" in found.errors[0]
    with pytest.raises(PolicyStoreError, match="may be written to by others"):
        store.save(entry(), enabled=True)


def test_a_first_run(tmp_path: Path) -> None:
    """There is no directory yet."""
    found = restored(tmp_path / "none")
    assert (found.got, found.errors) == ([], [])
