# SPDX-License-Identifier: Apache-2.0
"""The operator's own kernels: full BTFs below /var/lib/tetrapy/btf, put there by `tetrapy btf add`.

A kernel is the file `<directory>/ID/VERSION_ID/arch/<uname -r>.btf.xz`, in BTFHub's layout; where
os-release has no VERSION_ID, `_` stands for it.  The whole BTF is kept, so that a later tetrapy,
whose objects read other fields, can use it too.

A BTF says which memory of the kernel the agent reads.  So every directory on the way and the file
itself must belong to root, or to the user that the agent runs as, and must not be writable for
others; none of them may be a link.  They are opened one by one, each inside the one before.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Iterator, List, Optional

from tetrapy.btf import xz
from tetrapy.btf.btf_paths import STORE_DIRECTORY
from tetrapy.btf.host import Host
from tetrapy.errors import FormatError, StoreError

DIRECTORY = STORE_DIRECTORY
SUFFIX = ".btf.xz"
NO_VERSION = "_"

# Full BTFs have 3 to 10 MB.
MAX_BTF = 64 << 20
# Far above any kernel that a host runs; a directory with more is not ours.
_MAX_ENTRIES = 10_000

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LocalStore:
    """The store below a directory, which need not exist before something is added."""

    def __init__(self, directory: str = DIRECTORY) -> None:
        self.directory = directory

    def path(self, host: Host) -> str:
        """Where the BTF of a kernel is or would be; StoreError if its names are no file names."""
        return os.path.join(self.directory, *_parts(host))

    def read(self, host: Host) -> Optional[bytes]:
        """The full BTF of a kernel, not yet parsed; None if the store has none.

        Raises StoreError for one that is damaged or that others could have written.
        """
        *directories, name = _parts(host)
        try:
            with self._opened(directories) as parent:
                packed = _read_file(parent, name, self.path(host))
        except FileNotFoundError:
            return None
        except OSError as err:
            raise StoreError(f"{self.path(host)}: {_reason(err)}") from err
        try:
            return xz.unpack(packed, MAX_BTF)
        except FormatError as err:
            raise StoreError(
                f"{self.path(host)}: {err}; remove it with `tetrapy btf remove`, and add it again"
            ) from err

    def find(self, host: Host) -> Optional[bytes]:
        """The full BTF of a host's kernel; None if the store has none. Raises StoreError.

        A distribution's update changes os-release under a running kernel, so the release decides.
        """
        known = self.keys()
        same = [key for key in known if key.endswith(f"/{host.arch}/{host.release}")]
        key = str(host) if str(host) in known else next(iter(same), "")
        return self.read(host_of(key)) if key else None

    def keys(self) -> List[str]:
        """The kernels of the store, as ID/VERSION_ID/arch/<uname -r>, sorted."""
        found: List[str] = []
        try:
            with self._opened([]) as base:
                _walk(base, [], found)
        except FileNotFoundError:
            return []
        except OSError as err:
            raise StoreError(f"{self.directory}: {_reason(err)}") from err
        return sorted(found)

    def add(self, host: Host, btf: bytes) -> str:
        """Keep the full BTF of a kernel in place of an earlier one; returns its path.

        The file has its name only once it is complete and on the disk.  Raises StoreError for a
        directory that others may write to, OSError where it cannot be written.
        """
        *directories, name = _parts(host)
        if len(btf) > MAX_BTF:
            raise StoreError(f"the BTF has {len(btf):,} bytes; at most {MAX_BTF:,} are kept")
        os.makedirs(os.path.dirname(self.directory) or ".", mode=0o755, exist_ok=True)
        path = self.path(host)
        try:
            with self._opened(directories, make=True) as parent:
                _write_file(parent, name, xz.pack(btf))
        except OSError as err:
            # The system's own words name a part of the path, or nothing.
            raise OSError(err.errno, err.strerror, path) from err
        return path

    def remove(self, host: Host) -> str:
        """Remove the BTF of a kernel and the directories that it leaves empty; returns its path.

        Raises StoreError if it is not there, OSError if it cannot be removed.
        """
        *directories, name = _parts(host)
        try:
            with self._opened(directories) as parent:
                os.unlink(name, dir_fd=parent)
                os.fsync(parent)
        except FileNotFoundError as err:
            raise StoreError(f"{self.path(host)} is not there") from err
        while directories:
            try:
                os.rmdir(os.path.join(self.directory, *directories))
            except OSError:
                break  # another kernel is in it
            directories.pop()
        return self.path(host)

    @contextlib.contextmanager
    def _opened(self, directories: List[str], *, make: bool = False) -> Iterator[int]:
        """A descriptor of a directory of the store, each on the way checked, for a `with`."""
        fd = _open_directory(None, self.directory, self.directory, make=make)
        try:
            path = self.directory
            for name in directories:
                path = os.path.join(path, name)
                inner = _open_directory(fd, name, path, make=make)
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)


def host_of(key: str) -> Host:
    """The kernel that ID/VERSION_ID/arch/<uname -r> names; StoreError for another text."""
    parts = key.split("/")
    if len(parts) != 4:
        raise StoreError(f"{key!r} is no kernel's name, ID/VERSION_ID/arch/<uname -r>")
    return Host(*parts)


def _parts(host: Host) -> List[str]:
    """The names of directories and file below the store's."""
    parts = [host.id, host.version_id or NO_VERSION, host.arch, host.release + SUFFIX]
    for part in parts:
        # A point in front is also how files that are not complete are recognized.
        bad = not part or not part.isprintable() or part.startswith(".") or {"/", " "} & set(part)
        if bad or part == SUFFIX or len(os.fsencode(part)) > 255 - len(_ASIDE):
            raise StoreError(f"{str(host)!r}: {part!r} cannot be the name of a file in the store")
    return parts


def _open_directory(parent: Optional[int], name: str, path: str, *, make: bool) -> int:
    created = False
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=parent)
            created = True
    try:
        fd = os.open(name, _DIRECTORY_FLAGS, dir_fd=parent)
    except NotADirectoryError as err:  # also for a link: O_DIRECTORY is checked first
        raise StoreError(f"{path} is a link or no directory; it must be a directory") from err
    try:
        if created:
            os.fchmod(fd, 0o755)  # whatever the umask is
            if parent is not None:
                os.fsync(parent)
        _check_owner(os.fstat(fd), path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_owner(status: os.stat_result, path: str) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise StoreError(
            f"{path} belongs to user {status.st_uid}: not trusted; `chown root {path}` if its"
            " contents are yours"
        )
    if status.st_mode & 0o022:
        mode = stat.S_IMODE(status.st_mode)
        raise StoreError(
            f"{path} is writable for others (mode {mode:04o}): not trusted; `chmod go-w {path}` if"
            " its contents are yours"
        )


def _read_file(parent: int, name: str, path: str) -> bytes:
    try:
        fd = os.open(name, _FILE_FLAGS, dir_fd=parent)
    except OSError as err:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            raise StoreError(f"{path} is a link: not trusted; put the file itself there") from err
        raise
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{path} is no regular file")
        _check_owner(status, path)
        packed = file.read(MAX_BTF + 1)
    if len(packed) > MAX_BTF:
        raise StoreError(f"{path} has more than {MAX_BTF >> 20} MiB; no kernel's BTF has")
    return packed


_ASIDE = ".new-12345678"


def _write_file(parent: int, name: str, data: bytes) -> None:
    aside = f".new-{os.urandom(4).hex()}{name}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(aside, flags, 0o600, dir_fd=parent)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(fd, 0o644)
            os.fsync(fd)
        os.rename(aside, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside, dir_fd=parent)
        raise
    os.fsync(parent)


def _walk(directory: int, above: List[str], found: List[str]) -> None:
    """Add the keys of the kernels below a directory, which lies below `above`."""
    for name in sorted(os.listdir(directory)):
        if name.startswith(".") or len(found) > _MAX_ENTRIES:
            continue
        if len(above) == 3:
            if name.endswith(SUFFIX) and name != SUFFIX:
                version = "" if above[1] == NO_VERSION else above[1]
                found.append("/".join((above[0], version, above[2], name[: -len(SUFFIX)])))
            continue
        with contextlib.suppress(NotADirectoryError, PermissionError):
            inner = os.open(name, _DIRECTORY_FLAGS, dir_fd=directory)
            try:
                _walk(inner, [*above, name], found)
            finally:
                os.close(inner)


def _reason(err: OSError) -> str:
    return (err.strerror or str(err)).lower()
