# SPDX-License-Identifier: Apache-2.0
"""The ways by which native code gets from bytes into the process, and what refuses each."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tetrapy.errors import NativeCodeError
from tetrapy.kernel import extensions, native

IMAGE = b"\x7fELF" + bytes(300_000)


class Loader:
    """Stands for the dynamic linker: notes path and contents, refuses where it is told to."""

    def __init__(self, refuse: str = "never") -> None:
        self.refuse = refuse
        self.paths: list[str] = []
        self.modes: list[int] = []

    def __call__(self, path: str) -> bytes:
        self.paths.append(path)
        self.modes.append(stat.S_IMODE(os.stat(path).st_mode))
        if self.refuse in os.readlink("/".join(path.split("/")[:5])):
            raise OSError(f"{path}: failed to map segment from shared object")
        return Path(path).read_bytes()


def load(loader: Loader, run_directory: Path | str) -> bytes:
    """Load the image with the stand-in."""
    return native.load_image(IMAGE, "x.so", loader, str(run_directory))


@pytest.fixture
def no_memfd(monkeypatch):
    """A system that refuses memfds, as a seccomp filter does."""

    def refuse(name, flags):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "memfd_create", refuse)


def test_memfd_first(tmp_path):
    """Where memfds work nothing touches the file system, and the library gets the exact bytes."""
    loader = Loader()
    assert load(loader, tmp_path / "run") == IMAGE
    assert not (tmp_path / "run").exists()


def test_two_libraries_have_two_paths(tmp_path):
    """The dynamic linker knows a library by its path, so no path is used twice."""
    loader = Loader()
    load(loader, tmp_path / "run")
    load(loader, tmp_path / "run")
    assert len(set(loader.paths)) == 2


def test_executable_memfd_is_asked_for_first(monkeypatch, tmp_path):
    """MFD_EXEC (Linux 6.3) is tried first; a kernel that does not know it is asked without."""
    flags_seen = []
    create = os.memfd_create

    def old_kernel(name, flags):
        flags_seen.append(flags)
        if flags & 0x10:
            raise OSError(22, "Invalid argument")
        return create(name, flags)

    monkeypatch.setattr(os, "memfd_create", old_kernel)
    assert load(Loader(), tmp_path / "run") == IMAGE
    assert flags_seen == [os.MFD_CLOEXEC | 0x10, os.MFD_CLOEXEC]


@pytest.mark.usefixtures("no_memfd")
def test_directory_where_memfds_are_refused(tmp_path):
    """Without memfds the image is loaded from a 0700 directory, and no file is left in it."""
    loader = Loader()
    run = tmp_path / "var" / "run" / "native"
    assert load(loader, run) == IMAGE
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    assert loader.modes == [0o500]
    assert list(run.iterdir()) == []


def test_directory_where_memfds_cannot_be_mapped(tmp_path):
    """A linker that refuses the memfd gets the same bytes from the directory."""
    loader = Loader(refuse="memfd:")
    fds = len(os.listdir("/proc/self/fd"))
    assert load(loader, tmp_path / "run") == IMAGE
    assert len(loader.paths) == 2
    assert len(os.listdir("/proc/self/fd")) == fds


@pytest.mark.usefixtures("no_memfd")
def test_planted_symlink_is_not_entered(tmp_path):
    """A symbolic link in the directory's place is refused; its target stays as it was."""
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    (tmp_path / "run").symlink_to(target)
    with pytest.raises(NativeCodeError, match=r"memfd_create: .*run: (Not a dir|Too many levels)"):
        load(Loader(), tmp_path / "run")
    assert list(target.iterdir()) == []


@pytest.mark.usefixtures("no_memfd")
@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_open_directory_is_refused(tmp_path, mode):
    """A directory that others can enter may hold their files: it is refused, with the remedy."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(mode)
    with pytest.raises(NativeCodeError, match=f"mode {mode:04o}; .*0700: remove it"):
        load(Loader(), tmp_path / "run")


@pytest.mark.usefixtures("no_memfd")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_directory_of_a_stranger_is_refused(tmp_path):
    """A private directory of another user is that user's."""
    (tmp_path / "run").mkdir(mode=0o700)
    os.chown(tmp_path / "run", 65534, 65534)
    with pytest.raises(NativeCodeError, match="owned by user 65534"):
        load(Loader(), tmp_path / "run")


@pytest.mark.usefixtures("no_memfd")
def test_planted_file_is_not_written_through(tmp_path):
    """A link under the very name that is written first is removed, not followed."""
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    load(first := Loader(), run)
    name = first.paths[0].rpartition("/")[2]
    (run / f".{name}").symlink_to(victim)
    (run / name).symlink_to(victim)
    assert load(Loader(), run) == IMAGE
    assert victim.read_bytes() == b"precious"


def test_all_ways_are_reported(tmp_path):
    """When nothing works the error names the library and what each way said."""
    with pytest.raises(NativeCodeError) as caught:
        load(Loader(refuse=""), tmp_path / "run")
    text = str(caught.value)
    assert text.startswith("x.so cannot be loaded: ")
    assert text.count("failed to map segment") == 2
    assert str(tmp_path / "run") in text
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.usefixtures("no_memfd")
def test_unwritable_run_directory(tmp_path):
    """Where the directory cannot be made the error names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(NativeCodeError, match="file/native"):
        load(Loader(), tmp_path / "file" / "native")


@pytest.mark.parametrize(
    ("load_library", "name"),
    [
        (native.load_libbpf, "libbpf"),
        (native.load_own, "libtetrapy"),
        (native.load_unpack, "libunpack"),
    ],
)
def test_no_libraries_for_other_machines(monkeypatch, load_library, name):
    """A machine without a bundled library is named in the error."""
    load_library.cache_clear()
    machine = os.uname_result(("Linux", "host", "6.1", "#1", "riscv64"))
    monkeypatch.setattr(os, "uname", lambda: machine)
    with pytest.raises(NativeCodeError, match=f"no {name} for riscv64"):
        load_library()


def test_other_libbpf_by_environment(monkeypatch):
    """$TETRAPY_LIBBPF names another library; when that one does not load, nothing else is tried."""
    native.load_libbpf.cache_clear()
    monkeypatch.setenv("TETRAPY_LIBBPF", "/no/such/libbpf.so")
    with pytest.raises(NativeCodeError, match=r"\$TETRAPY_LIBBPF: /no/such/libbpf\.so"):
        native.load_libbpf()


def test_a_python_without_libraries_has_them_inside(monkeypatch):
    """The executable's: to ctypes the program is the one library; orjson is looked for nowhere."""
    monkeypatch.setattr(native, "EXTENSION_SUFFIXES", [])
    monkeypatch.setattr(extensions, "EXTENSION_SUFFIXES", [])
    load = native.load_libbpf.__wrapped__
    assert load()._name is None  # what ctypes calls the program itself
    assert extensions.Extensions().find_spec("orjson") is None
