# SPDX-License-Identifier: Apache-2.0
"""Native code of the bundle, loaded without a file system that could hold it.

A shared library goes into a memfd and is loaded from /proc/self/fd. Where the system forbids
memfds, or executing them, it goes for a moment into a directory that only this user can enter.

The executable (tools/interpreter) has them linked in: its Python cannot load libraries at all.
"""

from __future__ import annotations

import ctypes
import functools
import os
import stat
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Callable, List, TypeVar

from tetrapy.errors import BundleError, NativeCodeError
from tetrapy.kernel import bundle

RUN_DIRECTORY = "/var/run/tetrapy/native"

# <linux/memfd.h>. Since Linux 6.3 a memfd says whether it is to be executed, and the sysctl
# vm.memfd_noexec decides for those that do not; older kernels refuse the flag.
_MFD_EXEC = 0x10

_T = TypeVar("_T")


@functools.lru_cache(maxsize=None)
def load_libbpf(run_directory: str = RUN_DIRECTORY) -> ctypes.CDLL:
    """The bundled libbpf.so; calls through it keep errno for `ctypes.get_errno`.

    $TETRAPY_LIBBPF names another libbpf.so to use instead, which is everyone's right by the licence
    of the libelf inside. Raises NativeCodeError telling each way that was tried.
    """
    other = os.environ.get("TETRAPY_LIBBPF")
    if other:
        try:
            return _load_library(other)
        except OSError as err:
            raise NativeCodeError(f"$TETRAPY_LIBBPF: {err}") from err
    return _bundled_library("libbpf", run_directory)


@functools.lru_cache(maxsize=None)
def load_unpack(run_directory: str = RUN_DIRECTORY) -> ctypes.CDLL:
    """The bundled libunpack.so: decompressors of zstd, LZ4 and LZO.

    Raises NativeCodeError telling each way that was tried.
    """
    return _bundled_library("libunpack", run_directory)


@functools.lru_cache(maxsize=None)
def load_own(run_directory: str = RUN_DIRECTORY) -> ctypes.CDLL:
    """The bundled libtetrapy.so: our own C, of agent/native.

    Raises NativeCodeError telling each way that was tried.
    """
    return _bundled_library("libtetrapy", run_directory)


def _bundled_library(name: str, run_directory: str) -> ctypes.CDLL:
    if not EXTENSION_SUFFIXES:
        return ctypes.CDLL(None, use_errno=True)
    machine = os.uname().machine
    try:
        image = bundle.read(f"lib/{name}-{machine}.so")
    except BundleError as err:
        raise NativeCodeError(f"no {name} for {machine}: {err}") from err
    return load_image(image, f"{name}.so", _load_library, run_directory)


def _load_library(path: str) -> ctypes.CDLL:
    return ctypes.CDLL(path, use_errno=True)


def load_image(image: bytes, name: str, load: Callable[[str], _T], run_directory: str) -> _T:
    """What `load(path)` makes of a shared library given as bytes.

    `load` raises OSError when the library cannot be loaded from that path. Nothing
    of it is left in the file system. Raises NativeCodeError telling each way that was tried.
    """
    tried: List[str] = []
    for way in (_load_from_memfd, _load_from_directory):
        try:
            return way(image, name, load, run_directory)
        except OSError as err:
            tried.append(str(err))
    raise NativeCodeError(f"{name} cannot be loaded: {'; '.join(tried)}")


def _load_from_memfd(image: bytes, name: str, load: Callable[[str], _T], _: str) -> _T:
    fd = memfd(name)
    try:
        _write_all(fd, image)
        # The descriptor stays open: the dynamic linker knows a library by its path, and would take
        # the next one to get this number for this one.
        return load(f"/proc/self/fd/{fd}")
    except BaseException:
        os.close(fd)
        raise


def memfd(name: str) -> int:
    """A new memfd whose contents may be executed, if the host allows that. Raises OSError."""
    try:
        return os.memfd_create(name, os.MFD_CLOEXEC | _MFD_EXEC)
    except OSError:
        pass
    try:
        return os.memfd_create(name, os.MFD_CLOEXEC)
    except OSError as err:
        raise OSError(err.errno, f"memfd_create: {err.strerror}") from err


def _load_from_directory(image: bytes, name: str, load: Callable[[str], _T], path: str) -> _T:
    directory = _private_directory(path)
    # Only here: OpenSSL comes with it.
    import hashlib

    digest = hashlib.sha256(image).hexdigest()
    final = f"{digest[:32]}.{os.getpid()}.{name}"
    aside = f".{final}"
    try:
        _remove(aside, directory)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(aside, flags, 0o500, dir_fd=directory)
        try:
            _write_all(fd, image)
        finally:
            os.close(fd)
        os.rename(aside, final, src_dir_fd=directory, dst_dir_fd=directory)
        # By the open directory, so that a path that was swapped since leads nowhere else.
        return load(f"/proc/self/fd/{directory}/{final}")
    except OSError as err:
        raise OSError(f"{path}: {err}") from err
    finally:
        # What is loaded stays mapped without its name.
        _remove(aside, directory)
        _remove(final, directory)
        os.close(directory)


def _private_directory(path: str) -> int:
    """A descriptor of the directory, made with mode 0700 if need be. Raises OSError telling why."""
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        if not os.path.lexists(path):
            os.mkdir(path, 0o700)
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as err:
        raise OSError(f"{path}: {err.strerror}") from err
    found = os.fstat(directory)
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700:
        return directory
    os.close(directory)
    mode = stat.S_IMODE(found.st_mode)
    raise OSError(
        f"{path}: owned by user {found.st_uid} with mode {mode:04o}; it has to be"
        f" user {os.geteuid()}'s with mode 0700: remove it"
    )


def _remove(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except OSError:
        pass


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
