# SPDX-License-Identifier: Apache-2.0
"""The local store: what it keeps, and whom it trusts."""

from __future__ import annotations

import lzma
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.btf_kernels import foreign
from tetrapy.btf import store as stores
from tetrapy.btf.host import Host
from tetrapy.btf.store import LocalStore, host_of
from tetrapy.errors import StoreError

HOST = Host("debian", "12", "x86_64", "6.1.0-9-amd64")
DATA = b"\x9f\xeb" + bytes(1000)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "lib/btf"))


def test_a_kernel_comes_back(store: LocalStore) -> None:
    """What was added is read again, listed under its key, and lies in BTFHub's layout."""
    path = store.add(HOST, DATA)
    assert path == f"{store.directory}/debian/12/x86_64/6.1.0-9-amd64.btf.xz"
    assert store.read(HOST) == DATA
    assert store.keys() == [str(HOST)]
    assert lzma.decompress(Path(path).read_bytes()) == DATA


def test_modes_do_not_depend_on_the_umask(store: LocalStore) -> None:
    """Directories have the mode 0755 and files 0644, whatever the umask is."""
    before = os.umask(0o077)
    try:
        path = Path(store.add(HOST, DATA))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    for directory in list(path.parents)[:4]:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o755, directory


def test_adding_again_replaces(store: LocalStore) -> None:
    """A second BTF of a kernel takes the place of the first; nothing else is left."""
    store.add(HOST, DATA)
    path = Path(store.add(HOST, DATA + b"2"))
    assert store.read(HOST) == DATA + b"2"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_one(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full, the kernel's earlier BTF is still there, and no half file."""
    path = Path(store.add(HOST, DATA))

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        store.add(HOST, DATA + b"2")
    assert store.read(HOST) == DATA
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_there(store: LocalStore) -> None:
    """A store that does not exist, and one without the kernel, have none."""
    assert store.read(HOST) is None
    assert store.keys() == []
    store.add(HOST, DATA)
    assert store.read(HOST._replace(release="6.1.0-10-amd64")) is None


def test_rolling_releases(store: LocalStore) -> None:
    """A distribution without VERSION_ID has a directory for that."""
    rolling = Host("arch", "", "x86_64", "7.0.1-arch1")
    assert store.add(rolling, DATA).endswith("/arch/_/x86_64/7.0.1-arch1.btf.xz")
    assert store.keys() == [str(rolling)]
    assert store.read(host_of(store.keys()[0])) == DATA


def test_remove(store: LocalStore) -> None:
    """Removing takes the file and the directories that it leaves empty, but not the store."""
    other = HOST._replace(version_id="11")
    store.add(HOST, DATA)
    store.add(other, DATA)
    store.remove(HOST)
    assert store.keys() == [str(other)]
    assert not (Path(store.directory) / "debian/12").exists()
    store.remove(other)
    assert os.listdir(store.directory) == []
    with pytest.raises(StoreError, match="is not there"):
        store.remove(other)


def writable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.chmod(path.stat().st_mode | 0o020)


def linked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = path.with_name(path.name + ".real")
    path.rename(real)
    path.symlink_to(real)


@pytest.mark.parametrize("up", [0, 1, 2, 3, 4])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [(writable, "writable for others"), (foreign, "belongs to user"), (linked, "is a link")],
)
def test_what_others_could_have_written_is_not_trusted(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, up: int, spoil, said: str
) -> None:
    """A file or directory of another user, writable for others, or a link is refused and named."""
    file = Path(store.add(HOST, DATA))
    path = [file, *file.parents][up]
    spoil(path, monkeypatch)
    with pytest.raises(StoreError, match=said) as caught:
        store.read(HOST)
    if spoil is not foreign or os.geteuid() == 0:
        assert str(caught.value).startswith(str(path))
    if up:
        with pytest.raises(StoreError, match=said):
            store.add(HOST, DATA)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cut short"),
        (b"no xz at all", "damaged"),
        (lzma.compress(DATA)[:-5], "cut short|damaged"),
        (lzma.compress(DATA) + b"more", "other bytes follow"),
        (lzma.compress(DATA, lzma.FORMAT_ALONE), "damaged"),
    ],
)
def test_a_damaged_file_is_named(store: LocalStore, data: bytes, said: str) -> None:
    """Bytes that are no whole xz file are refused, with the file's name and what to do."""
    path = Path(store.add(HOST, DATA))
    path.write_bytes(data)
    with pytest.raises(StoreError, match=said) as caught:
        store.read(HOST)
    assert str(path) in str(caught.value)
    assert "tetrapy btf remove" in str(caught.value)


def test_a_bomb_is_refused(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that unpacks to more than the limit is refused."""
    monkeypatch.setattr(stores, "MAX_BTF", 1 << 20)
    path = Path(store.add(HOST, DATA))
    path.write_bytes(lzma.compress(bytes(2 << 20)))
    with pytest.raises(StoreError, match="more than 1 MiB"):
        store.read(HOST)
    path.write_bytes(bytes(2 << 20))
    with pytest.raises(StoreError, match="more than 1 MiB"):
        store.read(HOST)
    with pytest.raises(StoreError, match="at most"):
        store.add(HOST, bytes(2 << 20))


def test_a_pipe_is_not_waited_for(store: LocalStore) -> None:
    """A named pipe in a kernel's place is refused at once."""
    path = Path(store.add(HOST, DATA))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match="no regular file"):
        store.read(HOST)


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("text", ["..", "a/b", ".hidden", "a b", "a\nb", "x" * 300, "a\0b"])
def test_names_do_not_lead_out(store: LocalStore, part: int, text: str) -> None:
    """An os-release or a release that is no file name is refused for reading and writing."""
    host = Host(*(text if at == part else word for at, word in enumerate(HOST)))
    for use in (store.path, store.read, store.remove, lambda host: store.add(host, DATA)):
        with pytest.raises(StoreError, match="cannot be the name of a file"):
            use(host)
    assert not os.path.exists(store.directory) or os.listdir(store.directory) == []


@given(st.lists(st.text(), min_size=4, max_size=4))
def test_any_name_is_inside_or_refused(words: list[str]) -> None:
    """Whatever a kernel is called, its path has four names below the store, or there is none."""
    store = LocalStore("/store")
    try:
        path = store.path(Host(*words))
    except StoreError:
        return
    assert os.path.normpath(path) == path
    assert path.startswith("/store/")
    assert path.count("/") == 5


def test_strangers_in_the_store(store: LocalStore) -> None:
    """Files that are no kernels, at any depth, are passed over in the list."""
    path = Path(store.add(HOST, DATA))
    base = Path(store.directory)
    for name in ("README", "debian/README", "debian/12/x.btf.xz", "a/b/c/.new-1.btf.xz"):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(b"")
    (path.parent / "notes.txt").write_text("")
    assert store.keys() == [str(HOST)]


@pytest.mark.parametrize("key", ["", "a/b/c", "a/b/c/d/e"])
def test_keys_have_four_parts(key: str) -> None:
    """Another text is no kernel's name."""
    with pytest.raises(StoreError, match="no kernel's name"):
        host_of(key)
