# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf add` and `remove`: an operator's own kernels."""

from __future__ import annotations

import errno
import lzma
import os
from pathlib import Path

import pytest

from tests.support import btf_kernels
from tests.support.btf_kernels import btf, examined, foreign
from tetrapy.btf import host as hosts
from tetrapy.btf import store as stores
from tetrapy.btf.host import Host
from tetrapy.btf.store import LocalStore
from tetrapy.errors import KernelError

pytestmark = pytest.mark.slow

btf_command = btf_kernels.btf_command

HERE = Host("debian", "12", "x86_64", "6.1.0-9-amd64")
RELEASE = "5.15.0-own"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    monkeypatch.setattr(hosts, "current", lambda root="/": HERE)
    return LocalStore(str(tmp_path / "store"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kernel"
    path.write_bytes(btf())
    return path


def test_add(btf_command, store: LocalStore, file: Path) -> None:
    """The whole BTF is kept under this host's distribution and the given release."""
    done = btf_command("add", file, "--release", RELEASE, "--dir", store.directory)
    assert done.code == 0
    host = HERE._replace(release=RELEASE)
    assert store.keys() == [str(host)]
    assert store.read(host) == file.read_bytes()
    assert store.path(host) in done.lines[0]
    assert f"{HERE} runs here" in " ".join(done.lines)


def test_add_for_this_host(btf_command, store: LocalStore, file: Path) -> None:
    """What tells no release is the running kernel's; the next step is a restart."""
    done = btf_command("add", file, "--no-check", "--dir", store.directory)
    assert done.code == 0
    assert store.keys() == [str(HERE)]
    assert "Restart tetrapy" in done.out


def test_add_what_the_running_kernel_contradicts(
    btf_command, store: LocalStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BTF that is to be this host's is refused if the kernel contradicts it; not that of others."""
    examined(monkeypatch, "pid", "cgroup")
    done = btf_command("add", file, "--dir", store.directory)
    assert (done.code, done.out) == (1, "")
    assert "contradicts it in 2 checks, as pid" in done.err
    assert store.keys() == []
    assert btf_command("add", file, "--release", RELEASE, "--dir", store.directory).code == 0
    assert btf_command("add", file, "--no-check", "--dir", store.directory).code == 0
    examined(monkeypatch)
    assert btf_command("add", file, "--dir", store.directory).code == 0


def test_add_where_the_kernel_cannot_be_asked(
    btf_command, store: LocalStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel's memory cannot be read, that is said, and the BTF is kept."""
    examined(monkeypatch, error=KernelError("no rights"))
    done = btf_command("add", file, "--dir", store.directory)
    assert done.code == 0
    assert "not compared with the running kernel: no rights" in done.err
    assert store.keys() == [str(HERE)]


def test_add_under_other_names(btf_command, store: LocalStore, file: Path, tmp_path: Path) -> None:
    """Flags and another system's os-release name the kernel."""
    system = tmp_path / "os-release"
    system.write_text("ID=fedora\nVERSION_ID=41\n")
    words = ["--release", RELEASE, "--arch", "aarch64", "--dir", store.directory]
    assert btf_command("add", file, "--os-release", system, *words).code == 0
    assert btf_command("add", file, "--id", "rhel", "--version-id", "9.4", *words).code == 0
    assert store.keys() == [f"fedora/41/arm64/{RELEASE}", f"rhel/9.4/arm64/{RELEASE}"]


def test_add_takes_the_release_of_a_file_name(
    btf_command, store: LocalStore, tmp_path: Path
) -> None:
    """A file of a BTFHub tree tells release and architecture; the distribution is this host's."""
    path = tmp_path / "ubuntu/20.04/x86_64/5.4.0-9-generic.btf.xz"
    path.parent.mkdir(parents=True)
    path.write_bytes(lzma.compress(btf()))
    assert btf_command("add", path, "--dir", store.directory).code == 0
    assert store.keys() == ["debian/12/x86_64/5.4.0-9-generic"]


def test_a_part_of_a_btf_is_kept_with_a_note(btf_command, store: LocalStore, file: Path) -> None:
    """A minimized BTF serves today; that it may not tomorrow is said."""
    done = btf_command("add", file, "--release", RELEASE, "--dir", store.directory)
    assert done.code == 0
    assert done.err.startswith("Note: ")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no BTF|empty"),
        (b"text", ""),
        (btf_kernels.btf, ""),
        (lzma.compress(b"text"), ""),
    ],
)
def test_add_damaged_files(btf_command, store: LocalStore, tmp_path: Path, data, said) -> None:
    """A file without BTF, or with half of one, is refused; nothing is written."""
    path = tmp_path / "damaged"
    path.write_bytes(data()[:-20] if callable(data) else data)
    done = btf_command("add", path, "--release", RELEASE, "--dir", store.directory)
    assert (done.code, done.out) == (1, "")
    assert str(path) in done.err
    assert not os.path.exists(store.directory)


def test_add_what_cannot_serve(btf_command, store: LocalStore, tmp_path: Path) -> None:
    """A BTF that lacks what the programs read is refused before anything is written."""
    path = tmp_path / "kernel"
    path.write_bytes(btf(0, "mm_struct"))
    done = btf_command("add", path, "--release", RELEASE, "--dir", store.directory)
    assert done.code == 1
    assert "offset struct mm_struct.arg_end int" in done.err
    assert not os.path.exists(store.directory)


@pytest.mark.parametrize("word", ["../../x", "a b", "", ".."])
def test_add_impossible_names(btf_command, store: LocalStore, file: Path, word: str) -> None:
    """A name that would lead elsewhere is refused; an empty flag counts for nothing."""
    done = btf_command("add", file, "--release", RELEASE, "--id", word, "--dir", store.directory)
    assert done.code == (1 if word else 0)
    assert (store.keys() == []) == bool(word)


def test_add_a_file_that_is_not_there(btf_command, store: LocalStore, tmp_path: Path) -> None:
    """A wrong name of the file is wrong use."""
    done = btf_command("add", tmp_path / "none", "--dir", store.directory)
    assert (done.code, done.out) == (1, "")
    assert f"{tmp_path / 'none'}: no such file" in done.err


def test_add_to_a_directory_of_others(
    btf_command, store: LocalStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that others may write to, that is another's, or a link is refused, with a remedy."""
    words = ["add", file, "--release", RELEASE, "--dir", store.directory]
    os.mkdir(store.directory)
    os.chmod(store.directory, 0o777)
    done = btf_command(*words)
    assert done.code == 1
    assert "chmod go-w" in done.err
    os.chmod(store.directory, 0o755)
    foreign(Path(store.directory), monkeypatch)
    done = btf_command(*words)
    assert done.code == 1
    assert "chown root" in done.err
    monkeypatch.undo()
    assert os.listdir(store.directory) == []


def test_add_through_a_link(btf_command, store: LocalStore, file: Path, tmp_path: Path) -> None:
    """A store that is a link is refused; nothing is written where it leads."""
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", store.directory)
    done = btf_command("add", file, "--release", RELEASE, "--dir", store.directory)
    assert done.code == 1
    assert "is a link" in done.err
    assert os.listdir(tmp_path / "elsewhere") == []


def test_add_to_a_read_only_place(
    btf_command, store: LocalStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system refuses is no wrong use: 255."""

    def refuse(parent: int, name: str, data: bytes) -> None:
        raise OSError(errno.EROFS, "Read-only file system", name)

    monkeypatch.setattr(stores, "_write_file", refuse)
    done = btf_command("add", file, "--release", RELEASE, "--dir", store.directory)
    assert done.code == 255
    assert "read-only file system" in done.err


def test_remove(btf_command, store: LocalStore, file: Path) -> None:
    """The end of a name is enough, if it is the end of one name only."""
    words = ["--release", RELEASE, "--dir", store.directory]
    for version in ("11", "12"):
        assert btf_command("add", file, "--version-id", version, *words).code == 0
    done = btf_command("remove", RELEASE, "--dir", store.directory)
    assert done.code == 1
    assert "may be any of debian/11/" in done.err
    done = btf_command("remove", f"11/x86_64/{RELEASE}", "--dir", store.directory)
    assert (done.code, done.err) == (0, "")
    assert store.keys() == [f"debian/12/x86_64/{RELEASE}"]
    assert btf_command("remove", RELEASE, "--dir", store.directory).code == 0
    assert store.keys() == []


@pytest.mark.parametrize("word", ["6.6.6", "own", "", "/", "../x"])
def test_remove_what_is_not_there(btf_command, store: LocalStore, file: Path, word: str) -> None:
    """A name that is no kernel's is refused, and nothing is removed."""
    words = ["--release", RELEASE, "--dir", store.directory]
    assert btf_command("add", file, *words).code == 0
    done = btf_command("remove", word, "--dir", store.directory)
    assert (done.code, done.out) == (1, "")
    assert len(store.keys()) == 1
