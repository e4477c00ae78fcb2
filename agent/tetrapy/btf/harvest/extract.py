# SPDX-License-Identifier: Apache-2.0
"""One input -> the BTF in it, and what is known about its kernel."""

from __future__ import annotations

import os
import re
import stat
from typing import BinaryIO

from tetrapy.abi.elf import Elf, FileBytes
from tetrapy.btf.harvest import deb, images, limits, rpm
from tetrapy.btf.harvest.dwarf import btf_of_dwarf
from tetrapy.btf.harvest.identity import Evidence
from tetrapy.btf.harvest.isf import NotLinuxError
from tetrapy.btf.harvest.options import Options, Unpackers
from tetrapy.btf.harvest.package import Kernel, Package, kernel_of
from tetrapy.errors import FormatError
from tetrapy.named import NamedTuple

DEB, RPM, IMAGE = "deb", "rpm", "image"


class NoKernelError(FormatError):
    """A sound file that has no kernel in it."""


class Found(NamedTuple):
    """A BTF, not yet verified, and the evidence of which kernel it is of; `note` as an Image's."""

    btf: bytes
    evidence: Evidence
    note: str = ""


def kind_of(head: bytes) -> str:
    """What a file with these first 1024 bytes is to be read as; "" for none of the three."""
    if head.startswith(deb.MAGIC):
        return DEB
    if head.startswith(rpm.MAGIC):
        return RPM
    return IMAGE if images.is_image(head) else ""


def open_regular(path: str) -> BinaryIO:
    """An open file; FormatError for a device, pipe or directory, OSError as open."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FormatError("is no regular file")
    return os.fdopen(fd, "rb")


def extract(path: str, scratch: str, options: Options, unpackers: Unpackers) -> Found:
    """The BTF in a file. `scratch`: an empty directory for a vmlinux on its way to pahole.

    FormatError: none is found, damage, a limit; NoKernelError: a package, JSON or C without a
    kernel; OSError.
    """
    with open_regular(path) as file:
        head = file.read(images.HEAD_SIZE)
        file.seek(0)
        kind = kind_of(head)
        if kind == DEB:
            return _from_package(deb.open_deb(file, unpackers), path, scratch, options, unpackers)
        if kind == RPM:
            return _from_package(rpm.open_rpm(file, unpackers), path, scratch, options, unpackers)
        if images.is_elf(head):
            image = _from_elf(file, path, scratch, options)
        else:
            size = os.fstat(file.fileno()).st_size
            if size > limits.KERNEL:
                raise FormatError(f"has {size >> 20} MiB, the limit is {limits.KERNEL >> 20}")
            try:
                image = images.read_image(file.read(limits.KERNEL), unpackers)
            except images.NoBtfError as err:
                remedy = "unpack it first" if err.dwarf else "give its debug package"
                raise FormatError(f"{err}: {remedy}, and have pahole") from err
            except NotLinuxError as err:
                raise NoKernelError(str(err)) from err
    # A BTFHub archive tells by its path; what is inside has the release only.
    inner = image.name[: -len(".btf")]
    return Found(image.btf, Evidence(path, inner, image.arch, banner=image.banner), image.note)


def _from_elf(file: BinaryIO, path: str, scratch: str, options: Options) -> images.Image:
    """The BTF of a vmlinux on disk, made by pahole if need be; it is not read whole."""
    content = FileBytes(file.fileno())
    try:
        return images.read_elf(content)
    except images.NoBtfError as err:
        if not err.dwarf:
            raise
        elf = Elf(content)
        btf = btf_of_dwarf(path, scratch, options.pahole)
        return images.Image(btf, images.machine(elf), images.elf_banner(elf))


def _from_package(
    package: Package, path: str, scratch: str, options: Options, unpackers: Unpackers
) -> Found:
    kernel = kernel_of(package)
    if kernel is None:
        raise NoKernelError(f"no kernel is in the {package}{_where_it_is(package)}")
    try:
        image = _packed_image(kernel, scratch, options, unpackers)
    except images.NoBtfError as err:
        raise FormatError(f"{kernel.entry.path}: {err}; {_debug_package(package, kernel)}") from err
    except FormatError as err:
        raise FormatError(f"{kernel.entry.path}: {err}") from err
    evidence = Evidence(
        path,
        kernel.release,
        image.arch,
        package_arch=package.arch,
        version=package.version,
        maker=f"{package.vendor} {package.distribution}",
        banner=image.banner,
    )
    return Found(image.btf, evidence)


def _packed_image(
    kernel: Kernel, scratch: str, options: Options, unpackers: Unpackers
) -> images.Image:
    if not kernel.debug:
        return images.read_image(kernel.entry.content(limits.KERNEL), unpackers)
    path = os.path.join(scratch, "vmlinux")
    try:
        with open(path, "w+b") as file:
            kernel.entry.copy_to(file, limits.DEBUG_KERNEL)
            file.flush()
            return _from_elf(file, path, scratch, options)
    finally:
        os.unlink(path)


def _where_it_is(package: Package) -> str:
    """Where to look, for packages that look as if they had one."""
    found = re.fullmatch(r"linux-image-(\d.*)", package.name)
    if package.kind == "deb" and found and not package.name.endswith("-dbg"):
        return f": from Linux 6.19 on Debian's is in linux-binary-{found.group(1)}"
    if package.kind == "rpm" and package.name in ("kernel", "kernel-rt"):
        return f": it is in {package.name}-core"
    return ""


def _debug_package(package: Package, kernel: Kernel) -> str:
    """What to harvest instead of a package whose kernel has no BTF."""
    if kernel.debug:
        return "it is stripped of DWARF too"
    if package.kind == "rpm":
        return f"give its {package.name.replace('-core', '')}-debuginfo package, and have pahole"
    return f"give linux-image-{kernel.release}-dbg (Ubuntu: -dbgsym), and have pahole"
