"""Finds the BTF of the running kernel.

The order is Tetragon's, then libbpf's, then the archive of the bundle:

1. the file that the user names (`--btf`); it must be there,
2. the kernel's own, `/sys/kernel/btf/vmlinux`,
3. `<bpf-lib>/metadata/vmlinux-<release>`, also with the release cut at its first "-",
4. `<bpf-lib>/btf`,
5. kernel images and BTF files where libbpf looks for them,
6. the archive: the exact kernel, or the only kernel with this architecture and release.

A file counts when it holds BTF.  Nothing is ever chosen because it is near: the BTF of another
build loads without complaint and gives wrong data.
"""

from __future__ import annotations

import os
import stat
from typing import Callable, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from tetrapy.abi import btf as btf_bytes
from tetrapy.abi.elf import SHF_COMPRESSED, Elf, FileBytes
from tetrapy.btf.host import Host
from tetrapy.errors import ArchiveError, BtfNotFoundError, FormatError

KIND_USER = "user"
KIND_KERNEL = "kernel"
KIND_METADATA = "metadata"
KIND_FILE = "file"
KIND_ARCHIVE = "archive"

KERNEL_BTF = "sys/kernel/btf/vmlinux"

# The list of btf__load_vmlinux_btf() in libbpf's btf.c, in its order.
LIBBPF_PLACES = (
    "boot/vmlinux-{0}",
    "lib/modules/{0}/vmlinux-{0}",
    "lib/modules/{0}/build/vmlinux",
    "usr/lib/modules/{0}/kernel/vmlinux",
    "usr/lib/debug/boot/vmlinux-{0}",
    "usr/lib/debug/boot/vmlinux-{0}.debug",
    "usr/lib/debug/lib/modules/{0}/vmlinux",
)

ARCHIVE_NAME = "the embedded archive"

# log(level, message, **fields); names of fields may contain hyphens.
Log = Callable[..., None]


class BtfSource(NamedTuple):
    """The BTF to use: the file at `path`, or the bytes `data`, or neither for the kernel's own.

    `kind` is one of the KIND_ constants, `origin` says for logs where it comes from.
    """

    kind: str
    path: Optional[str]
    origin: str
    data: Optional[bytes] = None


class Places(NamedTuple):
    """Where to look; `root` stands before the kernel's and the system's own places."""

    bpf_lib: str = "/usr/local/lib/tetrapy/bpf/"
    root: str = "/"


DEFAULT_PLACES = Places()


def find_btf(
    host: Host,
    read_archive: Callable[[], bytes],
    log: Log,
    user_path: str = "",
    places: Places = DEFAULT_PLACES,
    read_objects: Optional[Callable[[], Iterable[bytes]]] = None,
) -> BtfSource:
    """The first source in the order above, or BtfNotFoundError with all that was tried.

    `read_archive` returns the bytes of `btfs/archive.xz`.  With `read_objects`, which returns the
    ELF objects that will be loaded, an archive that was made for others is not used.
    """
    if user_path:
        return _user_source(user_path, log)
    kernel_path = os.path.join(places.root, KERNEL_BTF)
    finding = inspect(kernel_path)
    if not finding:
        log("info", "BTF discovery: default kernel btf file found", **{"btf-file": kernel_path})
        return BtfSource(KIND_KERNEL, None, kernel_path)
    _log_missing(log, "default kernel", kernel_path, finding)
    tried = [(kernel_path, finding)]
    for kind, path in _candidates(host.release, places):
        finding = inspect(path)
        if not finding:
            log("info", "BTF discovery: candidate btf file found", **{"btf-file": path})
            return BtfSource(kind, path, path)
        _log_missing(log, "candidate", path, finding)
        tried.append((path, finding))
    found, finding = _in_archive(host, read_archive, read_objects)
    if found:
        log("info", "BTF discovery: embedded archive has this kernel", btf=found.origin)
        return found
    log("warning", "BTF discovery: embedded archive does not have this kernel", error=finding)
    tried.append((ARCHIVE_NAME, finding))
    raise BtfNotFoundError(_not_found(host, tried))


def inspect(path: str) -> str:
    """Why the file at that path is no BTF, as raw bytes or in an ELF file; empty if it is."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            return "is a directory" if stat.S_ISDIR(mode) else "is no regular file"
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(FileBytes(fd))
        finally:
            os.close(fd)
    except FileNotFoundError:
        return "does not exist"
    except OSError as err:
        return (err.strerror or str(err)).lower()
    except FormatError as err:
        return str(err)
    return ""


def _check(file: FileBytes) -> None:
    """Raise FormatError unless the file is BTF or an ELF file with a section of it."""
    start, size = 0, len(file)
    if file[0:4] == b"\x7fELF":
        section = Elf(file).section(".BTF")
        if section is None:
            raise FormatError("is an ELF file without a .BTF section")
        if section.flags & SHF_COMPRESSED:
            raise FormatError("its .BTF section is compressed")
        start, size = section.offset, min(section.size, len(file) - section.offset)
    btf_bytes.read_header(file[start : start + min(size, 64)], size)


def _user_source(path: str, log: Log) -> BtfSource:
    try:
        os.stat(path)
    except OSError as err:
        reason = (err.strerror or str(err)).lower()
        raise BtfNotFoundError(f"user specified BTF does not exist: stat {path}: {reason}") from err
    finding = inspect(path)
    if finding:
        raise BtfNotFoundError(f"user specified BTF {path}: {finding}")
    log("info", "BTF file: user specified btf file found", **{"btf-file": path})
    return BtfSource(KIND_USER, path, path)


def _candidates(release: str, places: Places) -> Iterator[Tuple[str, str]]:
    """Kinds and paths of the files after the kernel's own, in order."""
    # Tetragon looks for the cut release only, its documentation shows the full one.
    for version in dict.fromkeys((release, release.partition("-")[0])):
        name = os.path.join(places.bpf_lib, "metadata", f"vmlinux-{version}")
        yield KIND_METADATA, name
    yield KIND_METADATA, os.path.join(places.bpf_lib, "btf")
    for place in LIBBPF_PLACES:
        yield KIND_FILE, os.path.join(places.root, place.format(release))


def _in_archive(
    host: Host,
    read_archive: Callable[[], bytes],
    read_objects: Optional[Callable[[], Iterable[bytes]]],
) -> Tuple[Optional[BtfSource], str]:
    """The archive's BTF of this kernel, or None and what was found instead."""
    # Most kernels have BTF: they need not pay for hashes (OpenSSL) and a decompressor at start.
    from tetrapy.btf.archive import Archive, check_objects

    try:
        packed = read_archive()
        archive = Archive(packed)
        if read_objects:
            check_objects(packed, read_objects())
        name = str(host)
        data = archive.find(name)
        if data is not None:
            return BtfSource(KIND_ARCHIVE, None, name, data), ""
        # A rebranded distribution keeps the release that its kernel's builder gave it.
        same = archive.find_release(host.arch, host.release)
        blobs = {blob for _name, blob in same}
        if len(blobs) == 1:
            origin = f"{same[0][0]} (by release alone, this host is {name})"
            return BtfSource(KIND_ARCHIVE, None, origin, archive.blob(blobs.pop())), ""
    except (ArchiveError, OSError) as err:
        return None, str(err)
    if same:
        names = ", ".join(name for name, _blob in same)
        return None, f"has no {host}, and those of its release differ: {names}"
    return None, f"has no {host} among {len(archive.kernels)} kernels"


def _log_missing(log: Log, which: str, path: str, finding: str) -> None:
    fields = {"btf-file": path}
    if finding == "does not exist":
        log("info", f"BTF discovery: {which} btf file does not exist", **fields)
    else:
        fields["error"] = finding
        log("warning", f"BTF discovery: {which} btf file is not usable", **fields)


def _not_found(host: Host, tried: List[Tuple[str, str]]) -> str:
    listed = "; ".join(f"{place}: {finding}" for place, finding in tried)
    release = host.release
    return (
        f'kernel version "{release}" BTF search failed, tried in order: {listed}.'
        " Give the kernel's BTF with --btf FILE: copy /sys/kernel/btf/vmlinux from a machine that"
        " runs the same kernel, or make FILE from the vmlinux of the kernel's debug package:"
        f" pahole --btf_encode_detached FILE /usr/lib/debug/boot/vmlinux-{release}"
    )
